//! What bench/tasks.c, queue.c, call_later.c and parked.c measure, with tokio's tasks, channels and
//! timers on one thread. Prints a JSON object per workload; times are of the whole process's
//! processor time, medians of a few rounds.
//!
//!     tasks [PREFIX...]      only the workloads whose names begin with one of them
//!
//! `sleepers` needs a process of its own, because memory that is used again would not be counted.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Sleep;

const ROUNDS: usize = 5;
const SWITCHES: usize = 400_000;
const SPAWNS: usize = 100_000;
const TRIPS: usize = 200_000;
const ITEMS: usize = 400_000;
const TIMERS: usize = 1_000_000;
const SLEEPERS: usize = 1_000_000;

fn cpu_seconds() -> f64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn report(workload: &str, value: f64, unit: &str) {
    println!(
        "{{\"workload\": \"{}\", \"value\": {:.2}, \"unit\": \"{}\"}}",
        workload, value, unit
    );
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(|a, b| a.partial_cmp(b).unwrap());
    figures[figures.len() / 2]
}

struct Chosen(Vec<String>);

impl Chosen {
    fn has(&self, workload: &str) -> bool {
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|prefix| workload.starts_with(prefix.as_str()))
    }
}

async fn measure<F, B>(chosen: &Chosen, workload: &str, n: usize, mut body: B)
where
    F: Future<Output = ()>,
    B: FnMut() -> F,
{
    if !chosen.has(workload) {
        return;
    }
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        let begun = cpu_seconds();
        body().await;
        figures.push((cpu_seconds() - begun) * 1e9 / n as f64);
    }
    report(workload, median(figures), "ns");
}

async fn switches(n_tasks: usize) {
    let turns = SWITCHES / n_tasks;
    let tasks: Vec<_> = (0..n_tasks)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn spawns(at_a_time: usize) {
    for _ in 0..SPAWNS / at_a_time {
        let tasks: Vec<_> = (0..at_a_time).map(|_| tokio::spawn(async { 1 })).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

async fn round_trips() {
    let (to, mut questions) = mpsc::channel(1);
    let (answer, mut fro) = mpsc::channel(1);
    let task = tokio::spawn(async move {
        while let Some(item) = questions.recv().await {
            if answer.send(item + 1).await.is_err() {
                return;
            }
        }
    });
    for i in 0..TRIPS {
        to.send(i).await.unwrap();
        assert_eq!(fro.recv().await, Some(i + 1));
    }
    drop(to);
    task.await.unwrap();
}

async fn one_way(capacity: usize) {
    let (to, mut queue) = mpsc::channel(capacity);
    let task = tokio::spawn(async move {
        for i in 0..ITEMS {
            assert_eq!(queue.recv().await, Some(i));
        }
    });
    for i in 0..ITEMS {
        to.send(i).await.unwrap();
    }
    task.await.unwrap();
}

struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

type Timer = Option<Pin<Box<Sleep>>>;

/// A timer is set when its future is polled for the first time.
fn insert(timers: &mut [Timer], random: &mut Random, begin: Duration, waker: &Waker) -> f64 {
    let mut context = Context::from_waker(waker);
    let begun = cpu_seconds();
    for timer in timers.iter_mut() {
        let after = begin + Duration::from_micros(1000 + random.below(1_000_000));
        let mut sleep = Box::pin(tokio::time::sleep(after));
        assert!(sleep.as_mut().poll(&mut context).is_pending());
        *timer = Some(sleep);
    }
    (cpu_seconds() - begun) * 1e9 / timers.len() as f64
}

async fn timers(chosen: &Chosen) {
    if !chosen.has("timers") {
        return;
    }
    let mut random = Random(1);
    let counter = Arc::new(Counter(AtomicUsize::new(0)));
    let waker = Waker::from(counter.clone());
    let mut order: Vec<usize> = (0..TIMERS).collect();
    for i in (1..TIMERS).rev() {
        order.swap(i, random.below(i as u64 + 1) as usize);
    }
    let mut all: Vec<Timer> = (0..TIMERS).map(|_| None).collect();
    report(
        "timers/insert",
        insert(&mut all, &mut random, Duration::from_secs(60), &waker),
        "ns",
    );
    let begun = cpu_seconds();
    for i in order {
        all[i] = None;
    }
    report(
        "timers/cancel",
        (cpu_seconds() - begun) * 1e9 / TIMERS as f64,
        "ns",
    );
    insert(&mut all, &mut random, Duration::from_secs(0), &waker);
    std::thread::sleep(Duration::from_millis(1100));
    let begun = cpu_seconds();
    while counter.0.load(Ordering::Relaxed) < TIMERS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report(
        "timers/expire",
        (cpu_seconds() - begun) * 1e9 / TIMERS as f64,
        "ns",
    );
}

fn status_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = |name: &str| -> f64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    1024.0 * (kib("VmRSS:") + kib("VmPTE:"))
}

async fn sleepers(chosen: &Chosen) {
    if !chosen.has("sleepers") {
        return;
    }
    let mut tasks = Vec::with_capacity(SLEEPERS);
    tasks.resize_with(SLEEPERS, || None);
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    let bytes = status_bytes();
    let begun = cpu_seconds();
    for task in tasks.iter_mut() {
        *task = Some(tokio::spawn(async {
            BEGUN.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }));
    }
    while BEGUN.load(Ordering::Relaxed) < SLEEPERS {
        tokio::task::yield_now().await;
    }
    report(
        "sleepers/bytes",
        (status_bytes() - bytes) / SLEEPERS as f64,
        "B",
    );
    for task in tasks.iter() {
        task.as_ref().unwrap().abort();
    }
    for task in tasks {
        assert!(task.unwrap().await.unwrap_err().is_cancelled());
    }
    report("sleepers/cpu", cpu_seconds() - begun, "s");
}

async fn all(chosen: Chosen) {
    for n in [2, 100, 1000, 10000] {
        measure(&chosen, &format!("switch/{}", n), SWITCHES, || switches(n)).await;
    }
    for n in [1, 1000] {
        measure(&chosen, &format!("spawn/{}", n), SPAWNS, || spawns(n)).await;
    }
    measure(&chosen, "queue/round-trip", TRIPS, round_trips).await;
    for n in [1, 100] {
        measure(&chosen, &format!("queue/one-way/{}", n), ITEMS, || {
            one_way(n)
        })
        .await;
    }
    timers(&chosen).await;
    sleepers(&chosen).await;
}

fn main() {
    let chosen = Chosen(std::env::args().skip(1).collect());
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(all(chosen));
}
