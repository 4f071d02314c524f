// SPDX-License-Identifier: GPL-2.0-only

// proxy LISTEN SERVER: forwards TCP connections the way Go programs do, by io.Copy
// in each direction, which on Linux is splice(2) from socket to socket.
package main

import (
	"io"
	"log"
	"net"
	"os"
	"sync"
)

func forward(to, from *net.TCPConn, both *sync.WaitGroup) {
	defer both.Done()
	if _, err := io.Copy(to, from); err != nil {
		log.Printf("from %v to %v: %v", from.RemoteAddr(), to.RemoteAddr(), err)
	}
	to.CloseWrite()
}

func serve(client *net.TCPConn, server *net.TCPAddr) {
	defer client.Close()
	upstream, err := net.DialTCP("tcp", nil, server)
	if err != nil {
		log.Print(err)
		return
	}
	defer upstream.Close()
	var both sync.WaitGroup
	both.Add(2)
	go forward(upstream, client, &both)
	go forward(client, upstream, &both)
	both.Wait()
}

func resolve(address string) *net.TCPAddr {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	return resolved
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: proxy LISTEN SERVER")
	}
	server := resolve(os.Args[2])
	listener, err := net.ListenTCP("tcp", resolve(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	for {
		client, err := listener.AcceptTCP()
		if err != nil {
			log.Fatal(err)
		}
		go serve(client, server)
	}
}
