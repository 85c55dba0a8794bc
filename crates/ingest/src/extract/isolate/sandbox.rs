//! What a process that has its file in memory no longer needs, it no longer may.
//!
//! A filter on system calls (seccomp) works without privileges and in containers, where a network
//! namespace of one's own mostly does not. It is a second wall: the first is that parsers are
//! memory-safe. Where the system has no such filter, limits and the empty environment remain.

use std::io;

/// What a filtered process may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allow {
    /// Compute, and use the pipes that are open.
    Nothing,
    /// Start programs that read files, for text recognition. Still no network.
    Programs,
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use self::linux::lock;

/// Elsewhere limits are all there is.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn lock(_allow: Allow) -> io::Result<()> {
    Ok(())
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use libc::{c_long, sock_filter, sock_fprog};

    use super::{Allow, io};

    #[cfg(target_arch = "x86_64")]
    const ARCHITECTURE: u32 = 0xC000_003E;
    #[cfg(target_arch = "aarch64")]
    const ARCHITECTURE: u32 = 0xC000_00B7;

    /// Ways to talk to somebody, or to reach into other processes and the kernel.
    const OUTSIDE: &[c_long] = &[
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_sendmmsg,
        libc::SYS_io_uring_setup,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_mount,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_keyctl,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
    ];

    /// Ways to start a program or to touch a file.
    const FILES: &[c_long] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_unlinkat,
        libc::SYS_renameat2,
        libc::SYS_mkdirat,
        libc::SYS_linkat,
        libc::SYS_symlinkat,
        libc::SYS_fchmodat,
        libc::SYS_truncate,
        libc::SYS_memfd_create,
    ];

    /// The older spellings of the same.
    #[cfg(target_arch = "x86_64")]
    const OLD_FILES: &[c_long] = &[
        libc::SYS_open,
        libc::SYS_creat,
        libc::SYS_unlink,
        libc::SYS_rename,
        libc::SYS_mkdir,
        libc::SYS_rmdir,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_chmod,
    ];
    #[cfg(target_arch = "aarch64")]
    const OLD_FILES: &[c_long] = &[];

    /// Refuse these calls to this thread, and to the threads and programs that it starts, for good.
    pub(in super::super) fn lock(allow: Allow) -> io::Result<()> {
        let mut refused = OUTSIDE.to_vec();
        if allow == Allow::Nothing {
            refused.extend_from_slice(FILES);
            refused.extend_from_slice(OLD_FILES);
        }
        let filter = program(&refused)?;
        let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        // The system reads the filter and does not write to it.
        let program = sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
        // SAFETY: plain system calls; `program` and the filter it points to outlive them.
        let refused = unsafe {
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) != 0
        };
        if refused { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// A program that answers "not permitted" to these calls, and to those of another architecture,
    /// whose numbers mean something else.
    fn program(refused: &[c_long]) -> io::Result<Vec<sock_filter>> {
        const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
        const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
        // Of `seccomp_data`: the number is first, the architecture follows.
        const NUMBER: u32 = 0;
        const ARCH: u32 = 4;

        let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
        let mut steps = vec![
            step(LOAD, 0, 0, ARCH),
            step(EQUAL, 1, 0, ARCHITECTURE),
            step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
            step(LOAD, 0, 0, NUMBER),
        ];
        let to_end =
            |from: usize| u8::try_from(refused.len() + 1 - from).map_err(|_| io::ErrorKind::InvalidInput);
        // Numbers from here on are those of x32 on the same processor.
        steps.push(step(AT_LEAST, to_end(0)?, 0, 0x4000_0000));
        for (index, number) in (1..).zip(refused) {
            let number = u32::try_from(*number).map_err(|_| io::ErrorKind::InvalidInput)?;
            steps.push(step(EQUAL, to_end(index)?, 0, number));
        }
        steps.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
        steps.push(step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32));
        Ok(steps)
    }

    #[cfg(test)]
    mod tests {
        use std::{fs::File, net::UdpSocket, process::Command, thread};

        use super::*;

        /// Lock a thread of its own, since nothing opens it again.
        fn locked<T: Send + 'static>(allow: Allow, ask: impl FnOnce() -> T + Send + 'static) -> T {
            let work = move || {
                lock(allow).expect("the system knows such filters");
                ask()
            };
            thread::spawn(work).join().expect("the thread ends")
        }

        fn is_refused<T>(asked: io::Result<T>) -> bool {
            asked.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        }

        #[test]
        fn a_locked_thread_has_no_network_no_files_and_no_programs() {
            let refused = locked(Allow::Nothing, || {
                let inner = thread::spawn(|| is_refused(UdpSocket::bind("127.0.0.1:0")));
                [
                    is_refused(UdpSocket::bind("127.0.0.1:0")),
                    is_refused(File::open("/dev/null")),
                    is_refused(Command::new("/bin/true").output()),
                    inner.join().expect("threads can be started"),
                ]
            });

            assert_eq!(refused, [true; 4]);
        }

        #[test]
        fn one_that_may_start_programs_still_has_no_network() {
            let (network, files) = locked(Allow::Programs, || {
                (is_refused(UdpSocket::bind("127.0.0.1:0")), File::open("/dev/null").is_ok())
            });

            assert!(network && files);
        }
    }
}
