//! What is counted: delays, and a process's CPU time and memory.
//!
//! Owns: the histogram and the reading of `/proc`. Does not know what is measured.

use std::fs;
use std::io;

/// Steps per power of two: a value is told with an error below 0.4 %.
const STEPS: usize = 256;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Values in nanoseconds, counted in steps that grow with the value.
pub struct Histogram {
    counts: Vec<u32>,
    total: u64,
    max_ns: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Histogram {
        Histogram { counts: vec![0; (64 - STEP_BITS as usize + 1) * STEPS], total: 0, max_ns: 0 }
    }

    /// Counts a value.
    pub fn add(&mut self, ns: u64) {
        if let Some(count) = self.counts.get_mut(step(ns)) {
            *count += 1;
        }
        self.total += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many values there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The largest value.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The value that `share` (0 to 1) of all values do not exceed.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return upper_bound_ns(index).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

fn step(ns: u64) -> usize {
    let shift = (64 - ns.leading_zeros()).saturating_sub(STEP_BITS + 1);
    shift as usize * STEPS + (ns >> shift) as usize
}

fn upper_bound_ns(step: usize) -> u64 {
    if step < 2 * STEPS {
        return step as u64;
    }
    let shift = step / STEPS - 1;
    ((step - shift * STEPS) as u64 + 1) << shift
}

/// Processes that are watched together.
#[derive(Debug, Clone)]
pub struct Watched {
    pids: Vec<u32>,
}

/// Memory of watched processes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Of these, private to the process.
    pub private: u64,
}

impl Watched {
    /// Watches `pids`.
    pub fn new(pids: Vec<u32>) -> Watched {
        Watched { pids }
    }

    /// This program itself.
    pub fn own() -> Watched {
        Watched { pids: vec![std::process::id()] }
    }

    /// CPU time so far, user and system, in nanoseconds.
    pub fn cpu_ns(&self) -> io::Result<u64> {
        self.pids.iter().map(|pid| cpu_ns(*pid)).sum()
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> io::Result<usize> {
        self.pids.iter().map(|pid| Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())).sum()
    }

    /// Memory now.
    pub fn memory(&self) -> io::Result<Memory> {
        let mut sum = Memory::default();
        for pid in &self.pids {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|rest| rest.split_whitespace().next())
                    .and_then(|number| number.parse::<u64>().ok())
                    .map_or(0, |kib| kib * 1024)
            };
            sum.resident += field("Rss:");
            sum.private += field("Private_Clean:") + field("Private_Dirty:");
        }
        Ok(sum)
    }
}

/// How much a value grows for each unit of the other one, by least squares; points are (x, y).
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len().max(1) as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let shared: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if spread > 0.0 { shared / spread } else { 0.0 }
}

/// From the scheduler's own count where the kernel shows it, else from the clock ticks of `stat`.
fn cpu_ns(pid: u32) -> io::Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else {
            return stat_cpu_ns(pid);
        };
        sum += text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

fn stat_cpu_ns(pid: u32) -> io::Result<u64> {
    /// One hundredth of a second, on every Linux there is.
    const TICK_NS: u64 = 10_000_000;
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses that may hold blanks; user and system time are the 14th and 15th.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks * TICK_NS)
}
