// The same as queue.c with Go's channels, on one processor. Argument: the number of rounds.
// Prints name, tab, ns per operation (median), of processor time of the whole process.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"sync"
	"syscall"
)

const (
	trips   = 500000
	items   = 1000000
	workers = 100
)

func cpuNs() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

func measure(name string, rounds int, n float64, body func()) {
	var figures []float64
	for i := 0; i < rounds; i++ {
		begun := cpuNs()
		body()
		figures = append(figures, (cpuNs()-begun)/n)
	}
	sort.Float64s(figures)
	fmt.Printf("%s\t%.2f\n", name, figures[len(figures)/2])
}

func answers(to, fro chan int64) {
	for i := 0; i < trips; i++ {
		fro <- <-to + 1
	}
}

func pingPong(capacity int) func() {
	return func() {
		to, fro := make(chan int64, capacity), make(chan int64, capacity)
		go answers(to, fro)
		for i := int64(0); i < trips; i++ {
			to <- i
			if <-fro != i+1 {
				panic("wrong answer")
			}
		}
	}
}

func oneWay(capacity int) func() {
	return func() {
		queue, done := make(chan int64, capacity), make(chan bool)
		go func() {
			for i := int64(0); i < items; i++ {
				if <-queue != i {
					panic("wrong item")
				}
			}
			done <- true
		}()
		for i := int64(0); i < items; i++ {
			queue <- i
		}
		<-done
	}
}

func throughWorkers(capacity int) func() {
	return func() {
		jobs, results := make(chan int64, capacity), make(chan int64, capacity)
		var group sync.WaitGroup
		group.Add(workers)
		for i := 0; i < workers; i++ {
			go func() {
				defer group.Done()
				for job := range jobs {
					results <- 2 * job
				}
			}()
		}
		go func() {
			for i := int64(0); i < items; i++ {
				jobs <- i
			}
			close(jobs)
		}()
		sum := int64(0)
		for i := 0; i < items; i++ {
			sum += <-results
		}
		group.Wait()
		if sum != items*(items-1) {
			panic("wrong sum")
		}
	}
}

func selecting() {
	to, fro, never := make(chan int64, 1), make(chan int64, 1), make(chan int64, 1)
	go answers(to, fro)
	for i := int64(0); i < trips; i++ {
		to <- i
		select {
		case <-never:
			panic("an item from nowhere")
		case <-fro:
		}
	}
}

func main() {
	rounds := 9
	if len(os.Args) > 1 {
		n, err := strconv.Atoi(os.Args[1])
		if err != nil || n < 1 {
			panic("usage: channels [ROUNDS]")
		}
		rounds = n
	}
	runtime.GOMAXPROCS(1)
	measure("round trip, capacity 1", rounds, trips, pingPong(1))
	measure("round trip, rendezvous", rounds, trips, pingPong(0))
	measure("one way, capacity 1", rounds, items, oneWay(1))
	measure("one way, capacity 100", rounds, items, oneWay(100))
	measure("through 100 workers, capacity 1", rounds, items, throughWorkers(1))
	measure("through 100 workers, capacity 100", rounds, items, throughWorkers(100))
	measure("round trip, one side selects from 2", rounds, trips, selecting)
}
