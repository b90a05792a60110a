//! How many connections the process's descriptor limit allows.

/// How many descriptors are kept for everything else: listeners, event queues, files, the log, and those of the program
/// in which the emulator runs.
const RESERVE: usize = 64;

/// `asked` connections, or fewer where the process's limit of descriptors is too low.
pub(super) fn connections(asked: usize) -> usize {
    fit(asked, limit())
}

fn fit(asked: usize, limit: Option<usize>) -> usize {
    let room = limit.map_or(usize::MAX, |limit| limit - RESERVE.min(limit / 4));
    asked.min(room).max(1)
}

#[cfg(unix)]
fn limit() -> Option<usize> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.and_then(|current| usize::try_from(current).ok())
}

/// On Windows sockets do not count against such a limit.
#[cfg(not(unix))]
fn limit() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_part_of_the_descriptors_is_never_given_to_connections() {
        assert_eq!(fit(10_000, Some(1_024)), 960);
        assert_eq!(fit(10_000, Some(256)), 192);
        assert_eq!(fit(10_000, Some(40)), 30);
        assert_eq!(fit(100, Some(1_024)), 100);
        assert_eq!(fit(10_000, None), 10_000);
        assert_eq!(fit(0, Some(0)), 1);
    }
}
