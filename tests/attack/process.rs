//! The server as the system sees it: memory, processor time, descriptors, and what its sockets lost.
//!
//! All of it is read from `/proc`, so the server need not be able to say it: it may be out of descriptors just then.

use std::fs::read_to_string;

/// Clock ticks per second in `/proc/PID/stat`, the same on every Linux.
const TICKS: f64 = 100.0;

/// `VmRSS` (now) or `VmHWM` (the most so far), in MiB.
pub fn memory(pid: u32, line: &str) -> f64 {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let found = status.lines().find(|text| text.starts_with(line));
    found.and_then(|text| text.split_whitespace().nth(1)?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Seconds of processor time that it has taken.
pub fn processor_seconds(pid: u32) -> f64 {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses, `utime` and `stime` are the fields 12 and 13.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<f64>().ok()).sum::<f64>() / TICKS
}

pub fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Datagrams that the sockets on a port had no room for.
pub fn datagrams_lost(port: u16) -> u64 {
    let table = read_to_string("/proc/net/udp").unwrap_or_default();
    let port = format!(":{port:04X}");
    let of_port = |line: &&str| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port));
    table.lines().filter(of_port).filter_map(|line| line.rsplit(' ').find(|word| !word.is_empty())?.parse::<u64>().ok()).sum()
}

/// Octets that wait in the kernel at the server's end of its TCP connections, both ways, in MiB.
pub fn tcp_queued(port: u16) -> f64 {
    let table = read_to_string("/proc/net/tcp").unwrap_or_default();
    let port = format!(":{port:04X}");
    let queues = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next()?;
        let (sending, receiving) = words.nth(2)?.split_once(':')?;
        let octets = |hex| u64::from_str_radix(hex, 16).ok();
        local.ends_with(&port).then_some(octets(sending)? + octets(receiving)?)
    };
    table.lines().filter_map(queues).sum::<u64>() as f64 / f64::from(1 << 20)
}

/// What the buffers of all TCP sockets of the host take in the kernel, in MiB; both ends are in it.
pub fn tcp_buffers() -> f64 {
    let sockstat = read_to_string("/proc/net/sockstat").unwrap_or_default();
    let tcp = sockstat.lines().find(|line| line.starts_with("TCP:")).unwrap_or("");
    let pages = tcp.split_whitespace().skip_while(|&word| word != "mem").nth(1);
    pages.and_then(|pages| pages.parse::<f64>().ok()).unwrap_or(0.0) * 4.0 / 1024.0
}
