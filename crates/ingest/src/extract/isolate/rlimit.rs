//! Limits that the operating system keeps.

use std::io;

use super::Limits;

/// Lower this process's limits: memory, processor time, no files written, no core dumped.
#[cfg(unix)]
pub(super) fn lower(limits: &Limits) -> io::Result<()> {
    let seconds = limits.time.as_secs().saturating_add(1);
    // The address space bounds memory; the process's own code and stacks come on top.
    let memory = limits.memory_bytes.saturating_add(256 << 20);
    set(libc::RLIMIT_AS, memory, memory)?;
    // Between the two lies the difference between a signal that says why and one that does not.
    set(libc::RLIMIT_CPU, seconds, seconds.saturating_add(2))?;
    set(libc::RLIMIT_CORE, 0, 0)?;
    set(libc::RLIMIT_FSIZE, 0, 0)?;
    set(libc::RLIMIT_NOFILE, 32, 32)?;
    // SAFETY: a plain system call on this process. A refusal only means that it stays as
    // important as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, 10);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
type Resource = libc::__rlimit_resource_t;
#[cfg(all(unix, not(target_os = "linux")))]
type Resource = libc::c_int;

#[cfg(unix)]
fn set(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the answer.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // A limit can only be lowered; one that is lower already stays.
    limit.rlim_max = limit.rlim_max.min(hard);
    limit.rlim_cur = limit.rlim_cur.min(soft).min(limit.rlim_max);
    // SAFETY: `limit` is initialised.
    if unsafe { libc::setrlimit(resource, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Elsewhere the parent's deadline is all there is.
#[cfg(not(unix))]
pub(super) fn lower(_limits: &Limits) -> io::Result<()> {
    Ok(())
}
