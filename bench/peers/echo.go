// The echo server on Go's net: a goroutine for each connection.
//
//	echo echo|line BUFFER_BYTES
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
)

func echo(connection net.Conn, size int) {
	defer connection.Close()
	buffer := make([]byte, size)
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Answers are flushed when all lines that have come are answered.
func lines(connection net.Conn, size int) {
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, size)
	writer := bufio.NewWriterSize(connection, size)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		writer.Write(line)
		if reader.Buffered() == 0 && writer.Flush() != nil {
			return
		}
	}
}

func main() {
	size, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	serve := echo
	if os.Args[1] == "line" {
		serve = lines
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection, size)
	}
}
