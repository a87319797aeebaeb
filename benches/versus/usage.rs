//! What programs use: processor time, memory, and how busy the cores are.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, gettid};

/// What the kernel counts processor time in for user space, on every architecture (man 5 proc).
const TICK: Duration = Duration::from_millis(10);

/// A process and all that it has started.
#[derive(Clone, Debug)]
pub(crate) struct Tree(Vec<u32>);

impl Tree {
    /// Finds the processes below `root`.
    pub(crate) fn of(root: u32) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for id in numbers("/proc") {
            if let Some(parent) = stat(&format!("/proc/{id}/stat")).and_then(|stat| stat.parent) {
                children.entry(parent).or_default().push(id);
            }
        }
        let mut all = vec![root];
        let mut next = 0;
        while let Some(id) = all.get(next) {
            all.extend(children.remove(id).unwrap_or_default());
            next += 1;
        }
        Self(all)
    }

    /// Has all threads run on `core` alone; those that they start do as well.
    pub(crate) fn pin(&self, core: usize) -> nix::Result<()> {
        for id in &self.0 {
            for thread in numbers(&format!("/proc/{id}/task")) {
                pin(Pid::from_raw(thread as i32), core)?;
            }
        }
        Ok(())
    }

    /// Returns the processor time that all have used so far.
    pub(crate) fn time(&self) -> Duration {
        let stats = self
            .0
            .iter()
            .filter_map(|id| stat(&format!("/proc/{id}/stat")));
        TICK * stats.map(|stat| stat.ticks).sum::<u32>()
    }

    /// Returns what all hold in kB: pages that several share are divided among them.
    pub(crate) fn memory(&self) -> u64 {
        let rollups = self.0.iter().map(|id| format!("/proc/{id}/smaps_rollup"));
        rollups
            .filter_map(|path| {
                let text = fs::read_to_string(path).ok()?;
                let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
                line.split_whitespace().next()?.parse::<u64>().ok()
            })
            .sum()
    }
}

/// Has the calling thread run on `core` alone, and what it starts.
pub(crate) fn pin_self(core: usize) -> nix::Result<()> {
    pin(Pid::from_raw(0), core)
}

/// Gives the calling thread its core before all others, until this is dropped.
///
/// For who asks from a core that the server uses as well, as if it were another machine.
pub(crate) struct First(());

/// Has the calling thread get its core before all others.
///
/// # Errors
///
/// When the system does not allow it: only root may, or whoever has the capability `CAP_SYS_NICE`.
pub(crate) fn come_first() -> io::Result<First> {
    schedule("--fifo", 1).map(|()| First(()))
}

impl Drop for First {
    fn drop(&mut self) {
        if let Err(error) = schedule("--other", 0) {
            eprintln!("what asks goes on before all others: {error}");
        }
    }
}

/// Sets the calling thread's policy, as chrt(1) calls it, and priority.
fn schedule(policy: &str, priority: u8) -> io::Result<()> {
    let id = gettid().to_string();
    let done = Command::new("chrt")
        .args([policy, "--pid", &priority.to_string(), &id])
        .output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(io::Error::other(format!("chrt {policy}: {}", said.trim())))
}

/// Lets the calling thread run on every one of `cores` cores again.
pub(crate) fn unpin_self(cores: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    for core in 0..cores {
        set.set(core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
}

fn pin(thread: Pid, core: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(thread, &set)
}

/// Returns the numbers that name entries of a folder.
fn numbers(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// What is read of a process's `stat`.
struct Stat {
    parent: Option<u32>,
    ticks: u32,
}

fn stat(path: &str) -> Option<Stat> {
    let text = fs::read_to_string(path).ok()?;
    // The program's name, which may hold anything, ends with the last bracket; behind it fields
    // are counted from the third.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u32>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok(),
        ticks: ticks(14)? + ticks(15)?,
    })
}

/// What one core had done up to a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Core {
    idle: u64,
    all: u64,
}

impl Core {
    /// Reads the counters of `core`.
    pub(crate) fn now(core: usize) -> Option<Self> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let name = format!("cpu{core} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
        let ticks = line
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0));
        // User, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
        let ticks: Vec<u64> = ticks.take(8).collect();
        Some(Self {
            idle: ticks.get(3)? + ticks.get(4)?,
            all: ticks.iter().sum(),
        })
    }

    /// Returns which part of the time since `earlier` it was busy.
    pub(crate) fn busy_since(self, earlier: Self) -> f64 {
        let all = self.all - earlier.all;
        1.0 - (self.idle - earlier.idle) as f64 / all.max(1) as f64
    }
}
