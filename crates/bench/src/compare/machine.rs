//! The machine that measures: its name, and who gets which core.

use std::fs;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// What the kernel can number, as far as this program is concerned.
const CORES_MAX: usize = 1024;

/// The host as far as results depend on it.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) cpu: String,
    /// The kernel's name and release.
    pub(crate) kernel: String,
    /// Memory in bytes.
    pub(crate) memory_bytes: u64,
    /// The cores on which this process may run.
    pub(crate) cores: Vec<usize>,
}

/// The cores of the two sides; an empty list allows every core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Division {
    /// The server's.
    pub(crate) server: Vec<usize>,
    /// The generator's.
    pub(crate) generator: Vec<usize>,
    /// Threads of the generator.
    pub(crate) threads: usize,
}

impl Machine {
    /// Looks at this host.
    pub(crate) fn of_this_host() -> Result<Self, String> {
        let allowed = sched_getaffinity(None).map_err(|e| format!("Could not list cores: {e}"))?;
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            cpu: field(&info, "model name").unwrap_or("unknown").to_owned(),
            kernel: format!("Linux {}", release.trim()),
            memory_bytes: kilobytes(&memory, "MemTotal").unwrap_or(0),
            cores: (0..CORES_MAX).filter(|&core| allowed.is_set(core)).collect(),
        })
    }

    /// Divides the cores for a server with so many workers.
    pub(crate) fn divide(&self, workers: usize) -> Division {
        divide(&self.cores, workers)
    }
}

impl Division {
    /// Who runs where, in words.
    pub(crate) fn describe(&self) -> String {
        if self.server.is_empty() {
            return "server and generator share all cores".to_owned();
        }
        let list =
            |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "server on core {}, generator on core {}",
            list(&self.server),
            list(&self.generator)
        )
    }
}

/// Workers and generator get cores of their own if there are enough.
fn divide(cores: &[usize], workers: usize) -> Division {
    if cores.len() <= workers {
        return Division { server: Vec::new(), generator: Vec::new(), threads: 1 };
    }
    let (server, rest) = cores.split_at(workers);
    let generator = &rest[..rest.len().min(workers)];
    Division { server: server.to_vec(), generator: generator.to_vec(), threads: generator.len() }
}

/// Does something with this thread, and the processes it starts, on some cores.
pub(crate) fn on_cores<T>(cores: &[usize], act: impl FnOnce() -> T) -> Result<T, String> {
    let refused = |e| format!("Could not choose cores: {e}");
    if cores.is_empty() {
        return Ok(act());
    }
    let before = sched_getaffinity(None).map_err(refused)?;
    let mut wanted = CpuSet::new();
    cores.iter().for_each(|&core| wanted.set(core));
    sched_setaffinity(None, &wanted).map_err(refused)?;
    let result = act();
    sched_setaffinity(None, &before).map_err(refused)?;
    Ok(result)
}

/// The value of `name: value` in a text of such lines.
pub(crate) fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

/// A value in kilobytes, as bytes.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let number: u64 = field(text, name)?.split_whitespace().next()?.parse().ok()?;
    Some(number * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_gets_cores_of_its_own_if_there_are_enough() {
        let division = divide(&[0, 1], 1);
        assert_eq!(division.describe(), "server on core 0, generator on core 1");
        assert_eq!((division.server, division.generator, division.threads), (vec![0], vec![1], 1));
        let division = divide(&[0, 1, 2, 5, 6, 7], 2);
        assert_eq!((division.server, division.generator), (vec![0, 1], vec![2, 5]));
        assert_eq!(division.threads, 2);
    }

    #[test]
    fn too_few_cores_are_shared() {
        let shared = Division { server: Vec::new(), generator: Vec::new(), threads: 1 };
        assert_eq!(divide(&[0, 1], 2), shared);
        assert_eq!(divide(&[3], 1), shared);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model name2: no\nmodel name\t: Some CPU: fast\nRss:   12 kB\n";
        assert_eq!(field(text, "model name"), Some("Some CPU: fast"));
        assert_eq!(kilobytes(text, "Rss"), Some(12_288));
        assert_eq!(kilobytes(text, "Pss"), None);
    }
}
