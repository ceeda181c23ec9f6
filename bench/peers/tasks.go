// What bench/tasks.c, queue.c, call_later.c and parked.c measure, with goroutines, channels and the
// timers of Go, on one processor. Prints a JSON object per workload; times are of the whole
// process's processor time, medians of a few rounds.
//
//	tasks [PREFIX...]      only the workloads whose names begin with one of them
//
// sleepers needs a process of its own, because memory that is used again would not be counted.
package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	rounds   = 5
	switches = 400000
	spawns   = 100000
	trips    = 200000
	items    = 400000
	workers  = 100
	pending  = 1000000
	sleepers = 1000000
)

func cpuNs() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return float64(usage.Utime.Nano() + usage.Stime.Nano())
}

func report(workload string, value float64, unit string) {
	fmt.Printf("{\"workload\": \"%s\", \"value\": %.2f, \"unit\": \"%s\"}\n", workload, value, unit)
}

func isWanted(workload string) bool {
	for _, prefix := range os.Args[1:] {
		if strings.HasPrefix(workload, prefix) {
			return true
		}
	}
	return len(os.Args) == 1
}

func measure(workload string, n float64, body func()) {
	if !isWanted(workload) {
		return
	}
	var figures []float64
	for i := 0; i < rounds; i++ {
		begun := cpuNs()
		body()
		figures = append(figures, (cpuNs()-begun)/n)
	}
	sort.Float64s(figures)
	report(workload, figures[len(figures)/2], "ns")
}

func switching(n int) func() {
	return func() {
		var group sync.WaitGroup
		group.Add(n)
		for i := 0; i < n; i++ {
			go func() {
				for turn := 0; turn < switches/n; turn++ {
					runtime.Gosched()
				}
				group.Done()
			}()
		}
		group.Wait()
	}
}

// A goroutine has no result: it is sent through a channel of its own, as one does.
func spawning(atATime int) func() {
	return func() {
		results := make([]chan int, atATime)
		for n := 0; n < spawns; n += atATime {
			for i := range results {
				result := make(chan int, 1)
				results[i] = result
				go func() { result <- 1 }()
			}
			for _, result := range results {
				<-result
			}
		}
	}
}

func answers(to, fro chan int64) {
	for i := 0; i < trips; i++ {
		fro <- <-to + 1
	}
}

func roundTrips(capacity int) func() {
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

var nExpired atomic.Int64

func expired() { nExpired.Add(1) }

func insert(timers []*time.Timer, random *rand.Rand, after time.Duration) float64 {
	begun := cpuNs()
	for i := range timers {
		spread := time.Duration(1000+random.Intn(1000000)) * time.Microsecond
		timers[i] = time.AfterFunc(after+spread, expired)
	}
	return (cpuNs() - begun) / pending
}

// Timers expire while the program sleeps: a goroutine cannot hold them up as a callback can.
func measureTimers() {
	if !isWanted("timers") {
		return
	}
	random := rand.New(rand.NewSource(1))
	timers := make([]*time.Timer, pending)
	report("timers/insert", insert(timers, random, time.Minute), "ns")
	random.Shuffle(pending, func(i, j int) { timers[i], timers[j] = timers[j], timers[i] })
	begun := cpuNs()
	for _, timer := range timers {
		timer.Stop()
	}
	report("timers/cancel", (cpuNs()-begun)/pending, "ns")
	insert(timers, random, 2*time.Second)
	begun = cpuNs()
	for nExpired.Load() < pending {
		time.Sleep(50 * time.Millisecond)
	}
	report("timers/expire", (cpuNs()-begun)/pending, "ns")
}

func statusBytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	sum := 0
	for _, line := range bytes.Split(status, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("VmRSS:")) || bytes.HasPrefix(line, []byte("VmPTE:")) {
			kib, err := strconv.Atoi(string(bytes.Fields(line)[1]))
			if err != nil {
				panic(err)
			}
			sum += kib
		}
	}
	return 1024 * float64(sum)
}

func measureSleepers() {
	if !isWanted("sleepers") {
		return
	}
	var group sync.WaitGroup
	group.Add(sleepers)
	end := make(chan bool)
	begunTasks := 0
	before, begun := statusBytes(), cpuNs()
	for i := 0; i < sleepers; i++ {
		go func() {
			begunTasks++ // one processor, and nothing here gives it away
			select {
			case <-time.After(time.Hour):
			case <-end:
			}
			group.Done()
		}()
	}
	for begunTasks < sleepers {
		runtime.Gosched()
	}
	report("sleepers/bytes", (statusBytes()-before)/sleepers, "B")
	close(end)
	group.Wait()
	report("sleepers/cpu", (cpuNs()-begun)/1e9, "s")
}

func main() {
	runtime.GOMAXPROCS(1)
	for _, n := range []int{2, 100, 1000, 10000} {
		measure(fmt.Sprintf("switch/%d", n), switches, switching(n))
	}
	for _, n := range []int{1, 1000} {
		measure(fmt.Sprintf("spawn/%d", n), spawns, spawning(n))
	}
	measure("queue/round-trip", trips, roundTrips(1))
	measure("queue/rendezvous", trips, roundTrips(0))
	measure("queue/one-way/1", items, oneWay(1))
	measure("queue/one-way/100", items, oneWay(100))
	measure("queue/workers/1", items, throughWorkers(1))
	measure("queue/workers/100", items, throughWorkers(100))
	measure("queue/select", trips, selecting)
	measureTimers()
	measureSleepers()
}
