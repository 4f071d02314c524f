// SPDX-License-Identifier: GPL-2.0-only
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "pd_test_dma.h"

#define MAX_CHANNELS 64

static unsigned int channels = 4;
module_param(channels, uint, 0444);
MODULE_PARM_DESC(channels, "channels in all (default: 4)");

static unsigned int devices = 1;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "devices that the channels are spread over (default: 1)");

unsigned int pd_test_depth = 32;
module_param_named(depth, pd_test_depth, uint, 0444);
MODULE_PARM_DESC(depth, "descriptors that a channel has (default: 32)");

unsigned int pd_test_max_seg = SZ_1M;
module_param_named(max_seg, pd_test_max_seg, uint, 0444);
MODULE_PARM_DESC(max_seg, "bytes that one descriptor copies at most (default: 1 MiB)");

unsigned int pd_test_copy_align = 1;
module_param_named(copy_align, pd_test_copy_align, uint, 0444);
MODULE_PARM_DESC(copy_align, "bytes that addresses and lengths are multiples of (default: 1)");

static bool no_terminate;
module_param(no_terminate, bool, 0444);
MODULE_PARM_DESC(no_terminate, "copies cannot be terminated");

struct workqueue_struct *pd_test_workqueue;

static struct platform_device *platform[MAX_CHANNELS];
static int probe_error;

/* All that there ever were. */
static LIST_HEAD(all_devices);
static DEFINE_MUTEX(devices_mutex); /* protects the list */

/* What was set has changed: a channel may go on that was stuck. */
void pd_test_device_kick(void)
{
	struct pd_test_device *device;
	unsigned int i;

	mutex_lock(&devices_mutex);
	list_for_each_entry(device, &all_devices, node) {
		/* cppcheck-suppress uninitvar */
		for (i = 0; i < device->channels; i++)
			queue_work(pd_test_workqueue, &device->chans[i].work);
	}
	mutex_unlock(&devices_mutex);
}

void pd_test_device_show(struct seq_file *seq)
{
	struct pd_test_device *device;
	unsigned int i;

	mutex_lock(&devices_mutex);
	list_for_each_entry(device, &all_devices, node) {
		/* cppcheck-suppress uninitvar */
		for (i = 0; i < device->channels; i++)
			pd_test_channel_show(&device->chans[i], seq);
	}
	mutex_unlock(&devices_mutex);
}

/* The processor copies by the kernel's own mapping of all memory what a client has mapped for the
 * device. So the address that DMA-mapping gives out has to be the physical one of the very page,
 * without an IOMMU or a bounce buffer in between, and caches have to be coherent.
 */
static int check_addresses(struct device *dev)
{
	dma_addr_t address;
	struct page *page;
	bool physical;

	if (!IS_ENABLED(CONFIG_64BIT) || !dev_is_dma_coherent(dev) || device_iommu_mapped(dev))
		return -ENODEV;
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	address = dma_map_page(dev, page, 0, PAGE_SIZE, DMA_BIDIRECTIONAL);
	if (dma_mapping_error(dev, address)) {
		__free_page(page);
		return -ENODEV;
	}
	physical = dma_to_phys(dev, address) == page_to_phys(page);
	dma_unmap_page(dev, address, PAGE_SIZE, DMA_BIDIRECTIONAL);
	__free_page(page);
	return physical ? 0 : -ENODEV;
}

/* Nobody has any of its channels any more. It is not freed here: after this the kernel reads and
 * writes the channel that was given back (in dma_release_channel() and, on Linux 6.12, also in
 * dma_chan_put()), although real providers free theirs in this place.
 */
static void release(struct dma_device *dma)
{
	container_of(dma, struct pd_test_device, dma)->released = true;
}

/* The driver is unbound, its clients may be in the middle of something. */
static void remove(void *data)
{
	struct pd_test_device *device = data;
	unsigned int i;

	for (i = 0; i < device->channels; i++)
		pd_test_channel_remove(&device->chans[i]);
	dma_async_device_unregister(&device->dma);
}

static int probe_device(struct platform_device *pdev)
{
	unsigned int mine = channels / devices + (pdev->id < (int)(channels % devices));
	struct pd_test_device *device;
	unsigned int i;
	int err;

	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	err = check_addresses(&pdev->dev);
	if (err)
		return dev_err_probe(&pdev->dev, err, "DMA addresses are not physical ones\n");
	dma_set_max_seg_size(&pdev->dev, pd_test_max_seg);

	device = kzalloc(struct_size(device, chans, mine), GFP_KERNEL);
	if (!device)
		return -ENOMEM;
	/* Clients unmap after the driver was unbound. */
	device->dma.dev = get_device(&pdev->dev);
	device->dma.copy_align = ilog2(pd_test_copy_align);
	device->dma.device_release = release;
	device->channels = mine;
	INIT_LIST_HEAD(&device->dma.channels);
	pd_test_channel_ops(&device->dma, !no_terminate);
	for (i = 0; i < mine; i++)
		pd_test_channel_init(&device->chans[i], device, pdev->id + i * devices);

	mutex_lock(&devices_mutex);
	list_add_tail(&device->node, &all_devices);
	mutex_unlock(&devices_mutex);
	err = dma_async_device_register(&device->dma);
	if (err) {
		device->released = true;
		return err;
	}
	return devm_add_action_or_reset(&pdev->dev, remove, device);
}

static int probe(struct platform_device *pdev)
{
	int err = probe_device(pdev);

	if (err)
		probe_error = err;
	return err;
}

static struct platform_driver driver = {
	.probe = probe,
	.driver = { .name = PD_TEST_NAME },
};

static void remove_platform(void)
{
	unsigned int i;

	for (i = 0; i < devices; i++)
		platform_device_unregister(platform[i]);
	platform_driver_unregister(&driver);
}

/* Whoever gave a channel back, and so let this module go, holds the lock of the list of devices
 * until he no longer looks at the channel. Nothing has all capabilities: nothing is found, under
 * that lock.
 */
static void wait_for_last_client(void)
{
	dma_cap_mask_t all;

	bitmap_fill(all.bits, DMA_TX_TYPE_END);
	WARN_ON(!IS_ERR(dma_request_chan_by_mask(&all)));
}

static void free_devices(void)
{
	struct pd_test_device *device, *next;
	unsigned int i;

	wait_for_last_client();
	list_for_each_entry_safe(device, next, &all_devices, node) {
		/* cppcheck-suppress uninitvar */
		for (i = 0; i < device->channels; i++)
			pd_test_channel_exit(&device->chans[i]);
		/* Better lost than given to another. */
		if (WARN_ON(!device->released))
			continue;
		put_device(device->dma.dev);
		kfree(device);
	}
}

static int add_platform(void)
{
	struct platform_device_info info = {
		.name = PD_TEST_NAME,
		.dma_mask = DMA_BIT_MASK(64),
	};
	int err = platform_driver_register(&driver);
	unsigned int i;

	if (err)
		return err;
	for (i = 0; i < devices; i++) {
		info.id = i;
		platform[i] = platform_device_register_full(&info);
		if (IS_ERR(platform[i])) {
			err = PTR_ERR(platform[i]);
			platform[i] = NULL;
		}
	}
	if (!err)
		err = probe_error;
	if (err)
		remove_platform();
	return err;
}

static int __init test_dma_init(void)
{
	int err;

	if (channels < 1 || channels > MAX_CHANNELS || devices < 1 || devices > channels ||
	    pd_test_depth < 1 || pd_test_depth > PD_TEST_FAILED / 4 || !pd_test_max_seg ||
	    !is_power_of_2(pd_test_copy_align) || pd_test_copy_align > 64)
		return -EINVAL;
	/* A client may terminate from a queue that memory is reclaimed by. */
	pd_test_workqueue =
		alloc_workqueue(PD_TEST_NAME, WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	if (!pd_test_workqueue)
		return -ENOMEM;
	err = pd_test_knobs_init();
	if (err)
		goto destroy_workqueue;
	err = add_platform();
	if (err)
		goto remove_knobs;
	pr_info(PD_TEST_NAME ": %u channels on %u devices\n", channels, devices);
	return 0;

remove_knobs:
	pd_test_knobs_exit();
	free_devices();
destroy_workqueue:
	destroy_workqueue(pd_test_workqueue);
	return err;
}

static void __exit test_dma_exit(void)
{
	pd_test_knobs_exit();
	remove_platform();
	free_devices();
	destroy_workqueue(pd_test_workqueue);
}

module_init(test_dma_init);
module_exit(test_dma_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A provider of DMA channels, for tests");
