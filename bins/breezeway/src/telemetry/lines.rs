//! Lines of the log, gathered for a moment and written together by a thread of their own.
//!
//! Waking a thread for each line costs a request more than all the rest of its line: under load a
//! tenth of two cores went there. So the thread takes whatever has come since it last looked, and
//! nobody wakes it but the first line after a pause.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(2);

/// Most bytes that wait to be written; whoever logs more waits too, and nothing is dropped.
const MOST: usize = 1 << 20;

/// Where lines are handed over. Clones share one writer.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Keep this as long as something may be logged: dropping it writes what is still waiting.
#[must_use]
pub(crate) struct Flushing {
    lines: Lines,
    writer: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Rings when there is something to write, or when the end has come.
    filled: Condvar,
    /// Rings when there is room again.
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    is_over: bool,
}

/// Start the thread that writes to `out`.
///
/// # Errors
/// If there can be no thread more.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Lines, Flushing)> {
    let lines = Lines(Arc::default());
    let writing = lines.clone();
    let writer = thread::Builder::new().name("log".into()).spawn(move || writing.write_to(out))?;
    Ok((lines.clone(), Flushing { lines, writer: Some(writer) }))
}

impl Lines {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.state();
        while state.waiting.len() >= MOST && !state.is_over {
            state = self.0.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let was_empty = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if was_empty {
            self.0.filled.notify_one();
        }
    }

    /// Write until the end has come and nothing is left.
    fn write_to(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        loop {
            let mut state = self.state();
            while state.waiting.is_empty() && !state.is_over {
                state = self.0.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.waiting.is_empty() {
                return;
            }
            if !state.is_over {
                drop(state);
                thread::sleep(GATHER);
                state = self.state();
            }
            mem::swap(&mut state.waiting, &mut taken);
            drop(state);
            self.0.emptied.notify_all();
            // There is no place left to say that a line cannot be written.
            let _ = out.write_all(&taken).and_then(|()| out.flush());
            taken.clear();
        }
    }
}

impl Drop for Flushing {
    fn drop(&mut self) {
        self.lines.state().is_over = true;
        self.lines.0.filled.notify_one();
        self.lines.0.emptied.notify_all();
        if let Some(writer) = self.writer.take() {
            // It does not panic, and if it did there would be nobody to tell.
            let _ = writer.join();
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn no_line_is_lost_or_torn_and_each_thread_keeps_its_order() {
        const LINES: usize = 5000;
        let out = Out::default();
        let (lines, flushing) = start(out.clone()).unwrap();

        thread::scope(|scope| {
            for thread in 0..4 {
                let lines = &lines;
                scope.spawn(move || {
                    for number in 0..LINES {
                        let line = format!("{thread} {number} {}\n", "x".repeat(100));
                        lines.make_writer().write_all(line.as_bytes()).unwrap();
                    }
                });
            }
        });
        drop(flushing);

        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let mut next = [0; 4];
        for line in text.lines() {
            let mut words = line.split(' ');
            let thread: usize = words.next().unwrap().parse().unwrap();
            assert_eq!(words.next().unwrap().parse(), Ok(next[thread]), "{line}");
            assert_eq!(words.next().map(str::len), Some(100), "{line}");
            next[thread] += 1;
        }
        assert_eq!(next, [LINES; 4]);
    }

    #[test]
    fn a_line_is_written_without_waiting_for_another() {
        let out = Out::default();
        let (lines, _flushing) = start(out.clone()).unwrap();

        (&lines).write_all(b"one\n").unwrap();
        let mut tries = 0;
        while out.0.lock().unwrap().is_empty() {
            assert!(tries < 1000, "it comes by itself");
            tries += 1;
            thread::sleep(GATHER);
        }

        assert_eq!(*out.0.lock().unwrap(), b"one\n");
    }

    #[test]
    fn what_is_logged_after_the_end_holds_nobody_up() {
        let (lines, flushing) = start(Out::default()).unwrap();
        drop(flushing);

        for _ in 0..3 {
            lines.add(&[b'x'; MOST]);
        }
    }
}
