//! The C library's allocator, told to give large blocks back.

/// Have blocks of a megabyte and more come from the system and go back to it when they are freed.
///
/// Left to itself glibc raises that limit to the largest block it has seen freed, and then keeps such
/// blocks: two sign-ins, each with the 19 MiB of a password hash, left 72 MiB resident where 33 MiB are
/// used (measured 2026-11-24). Bodies of requests and texts of documents are such blocks too.
pub(crate) fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGE_BYTES: libc::c_int = 1 << 20;
        // SAFETY: it sets a number of the allocator, before any other thread exists. What it answers is
        // whether it did; if not, memory is only kept for longer.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES);
        }
    }
}
