// SPDX-License-Identifier: GPL-2.0-only
/* mpirun ... allreduce BYTES ROUNDS
 *
 * MPI_Allreduce() of BYTES of floats at each rank, ROUNDS times after two others, of which the first
 * verifies each sum. The first rank prints the ns that one of them took, by the median: the host may
 * have been busy with something else during the others.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define WARM 2

/* Sums of these are exact. */
static float value(unsigned int rank, size_t i)
{
	return (float)((((uint32_t)i + rank * 7919) * 0x9e3779b1U) >> 20);
}

static void check(const float *sums, size_t elements, unsigned int ranks)
{
	for (size_t i = 0; i < elements; i++) {
		float sum = 0;

		for (unsigned int rank = 0; rank < ranks; rank++)
			sum += value(rank, i);
		if (sums[i] != sum) {
			fprintf(stderr, "allreduce: element %zu is %f and should be %f\n", i,
				(double)sums[i], (double)sum);
			MPI_Abort(MPI_COMM_WORLD, 1);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	int rank, ranks, rounds;
	float *own, *sums;
	size_t elements;
	double *times;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	elements = argc == 3 ? strtoul(argv[1], NULL, 10) / sizeof(float) : 0;
	rounds = argc == 3 ? atoi(argv[2]) : 0;
	own = calloc(elements, sizeof(float));
	sums = calloc(elements, sizeof(float));
	times = calloc((size_t)rounds, sizeof(double));
	if (!elements || rounds < 1 || !own || !sums || !times) {
		fprintf(stderr, "usage: allreduce BYTES ROUNDS\n");
		MPI_Abort(MPI_COMM_WORLD, 2);
	}
	for (size_t i = 0; i < elements; i++)
		own[i] = value((unsigned int)rank, i);
	for (int i = 0; i < WARM; i++) {
		MPI_Allreduce(own, sums, (int)elements, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
		if (!i)
			check(sums, elements, (unsigned int)ranks);
	}
	for (int i = 0; i < rounds; i++) {
		MPI_Barrier(MPI_COMM_WORLD);
		times[i] = MPI_Wtime();
		MPI_Allreduce(own, sums, (int)elements, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
		MPI_Barrier(MPI_COMM_WORLD);
		times[i] = MPI_Wtime() - times[i];
	}
	qsort(times, (size_t)rounds, sizeof(double), compare);
	if (!rank)
		printf("%.0f\n", times[rounds / 2] * 1e9);
	MPI_Finalize();
	return 0;
}
