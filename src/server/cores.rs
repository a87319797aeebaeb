//! The cores that UDP threads run on, where the operator has chosen them.

use std::io;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A core that was chosen and cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("expected cores that this process may use, which are {allowed}, found core {core}")]
pub struct NoSuchCore {
    /// The core that was wanted.
    core: usize,
    /// Those there are, or that the service manager left to this process.
    allowed: String,
}

/// Checks that this process may run on every one of `cores`.
///
/// # Errors
///
/// Names the first that it may not run on, and those that it may.
pub fn check_cores(cores: &[usize]) -> Result<(), NoSuchCore> {
    // Where the system does not say, the threads will say that they could not be moved.
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else {
        return Ok(());
    };
    let may = |core: usize| set.is_set(core).unwrap_or(false);
    match cores.iter().find(|core| !may(**core)) {
        None => Ok(()),
        Some(core) => Err(NoSuchCore {
            core: *core,
            allowed: text((0..CpuSet::count()).filter(|core| may(*core))),
        }),
    }
}

/// Moves this thread to a core, for good.
///
/// # Errors
///
/// What the system said.
pub(super) fn pin_to(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
}

/// Writes cores as people do: `0-3, 6`.
fn text(cores: impl Iterator<Item = usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for core in cores {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == core => *last = core,
            _ => ranges.push((core, core)),
        }
    }
    let ranges: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| {
            if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    ranges.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_named_beside_those_that_are() {
        let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
        let first = (0..CpuSet::count()).find(|core| set.is_set(*core).unwrap());
        let first = first.unwrap();

        assert!(check_cores(&[]).is_ok());
        assert!(check_cores(&[first, first]).is_ok());
        for absent in [1023, 70_000] {
            let error = check_cores(&[first, absent]).unwrap_err().to_string();
            let begin = format!("expected cores that this process may use, which are {first}");
            assert!(error.starts_with(&begin), "{error}");
            assert!(
                error.ends_with(&format!(", found core {absent}")),
                "{error}"
            );
        }
    }

    #[test]
    fn a_pinned_thread_runs_on_its_core_alone() {
        let pinned = std::thread::spawn(|| {
            let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let mut allowed = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap());
            let last = allowed.next_back().unwrap();
            pin_to(last).unwrap();
            let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
            let now = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap());
            (last, now.collect::<Vec<_>>())
        });

        let (last, now) = pinned.join().unwrap();
        assert_eq!(now, [last]);
    }

    #[test]
    fn cores_are_written_as_ranges() {
        assert_eq!(text([0, 1, 2, 5, 7, 8].into_iter()), "0-2, 5, 7-8");
    }
}
