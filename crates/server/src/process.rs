//! What the system knows of this process: memory and processor time, from `/proc`.
//!
//! The files are those of proc(5). Reading them costs some microseconds, so this is for INFO and
//! for samples, not for requests. Where there is no `/proc`, everything is 0.

use std::fs;

/// Memory of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes that lie in the machine's memory.
    pub resident_bytes: u64,
    /// Those of them that are pages of files, programs and libraries mostly.
    pub file_bytes: u64,
}

/// Time on processors, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CpuTime {
    /// In the system.
    pub system: f64,
    /// In the program.
    pub user: f64,
}

/// The memory of the process.
#[must_use]
pub fn memory() -> Memory {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    parse_statm(&statm, rustix::param::page_size() as u64)
}

fn parse_statm(statm: &str, page_bytes: u64) -> Memory {
    let field = |at: usize| -> u64 {
        let pages: Option<u64> = statm.split(' ').nth(at).and_then(|pages| pages.parse().ok());
        pages.unwrap_or(0) * page_bytes
    };
    Memory { resident_bytes: field(1), file_bytes: field(2) }
}

/// Bytes of the process that lie on a swap device.
#[must_use]
pub fn swapped_bytes() -> u64 {
    parse_swapped(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// The line `VmSwap: 12 kB`.
fn parse_swapped(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmSwap:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0_u64) * 1024
}

/// Processor time of the process, and of its children that have ended.
#[must_use]
pub fn cpu() -> (CpuTime, CpuTime) {
    parse_stat(&fs::read_to_string("/proc/self/stat").unwrap_or_default())
}

/// Processor time of all threads of the process, in nanoseconds.
#[must_use]
pub fn cpu_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Processor time of the thread that started the process.
#[must_use]
pub fn cpu_of_main_thread() -> CpuTime {
    let path = format!("/proc/self/task/{}/stat", std::process::id());
    parse_stat(&fs::read_to_string(path).unwrap_or_default()).0
}

/// The 14th to 17th field; the second is a name in parentheses that may contain anything.
fn parse_stat(stat: &str) -> (CpuTime, CpuTime) {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let per_second = rustix::param::clock_ticks_per_second().max(1) as f64;
    let field = |at: usize| -> f64 {
        let ticks: Option<f64> = rest.split_whitespace().nth(at).and_then(|text| text.parse().ok());
        ticks.unwrap_or(0.0) / per_second
    };
    let own = CpuTime { user: field(11), system: field(12) };
    (own, CpuTime { user: field(13), system: field(14) })
}

/// Bytes of the machine's memory.
#[must_use]
pub fn machine_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit.max(1))
}

/// Name, release and processor of the system, as INFO shows them.
#[must_use]
pub fn system_name() -> String {
    let name = rustix::system::uname();
    let parts = [name.sysname(), name.release(), name.machine()];
    parts.map(|part| part.to_string_lossy().into_owned()).join(" ")
}

/// The path of the running program.
#[must_use]
pub fn executable() -> String {
    std::env::current_exe().map_or_else(|_| String::new(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_pages() {
        let expected = Memory { resident_bytes: 20 * 4096, file_bytes: 7 * 4096 };
        assert_eq!(parse_statm("100 20 7 1 0 50 0\n", 4096), expected);
        assert_eq!(parse_statm("", 4096), Memory::default());
        assert!(memory().resident_bytes > 0);
    }

    #[test]
    fn what_was_swapped_out_is_told_in_kilobytes() {
        assert_eq!(parse_swapped("Name: a\nVmSwap:\t      12 kB\nThreads: 1\n"), 12 << 10);
        assert_eq!(parse_swapped("Name: a\n"), 0);
    }

    #[test]
    fn processor_time_only_grows() {
        let before = cpu_nanos();
        let sum: u64 = (0..1_000_000_u64).map(std::hint::black_box).sum();
        assert!(sum > 0 && cpu_nanos() > before && before > 0);
    }

    #[test]
    fn a_program_may_have_any_name() {
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let stat = "7 (a ) (b) S 1 1 1 0 -1 4194560 1 0 0 0 300 200 100 50 20 0 4 0 1 1 1";
        let (own, children) = parse_stat(stat);
        assert_eq!(own, CpuTime { user: 300.0 / ticks, system: 200.0 / ticks });
        assert_eq!(children, CpuTime { user: 100.0 / ticks, system: 50.0 / ticks });
        assert_eq!(parse_stat("").0, CpuTime::default());
    }
}
