//! Lines for files and pipes: the same text that `tracing_subscriber` writes without colours.
//!
//! Its own formatter thinks of styles between any two words and takes apart every character; on a busy
//! gateway that was a tenth of all instructions. Terminals, which have colours and one reader, still
//! get their lines from it.

use std::{
    cell::Cell,
    fmt::{self, Debug, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    field::RecordFields,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime as CalendarTime},
    },
    registry::LookupSpan,
};

/// Time, level, spans, fields; in one line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        now(&mut writer)?;
        writer.write_str(level(event.metadata().level()))?;
        let mut spans = context.event_scope().into_iter().flat_map(|scope| scope.from_root()).peekable();
        let has_spans = spans.peek().is_some();
        for span in spans {
            writer.write_str(span.metadata().name())?;
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                writer.write_char('{')?;
                writer.write_str(fields)?;
                writer.write_char('}')?;
            }
            writer.write_char(':')?;
        }
        if has_spans {
            writer.write_char(' ')?;
        }
        context.format_fields(writer.by_ref(), event)?;
        writer.write_char('\n')
    }
}

impl<'writer> FormatFields<'writer> for Plain {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut words = Words { writer, is_begun: false, result: Ok(()) };
        fields.record(&mut words);
        words.result
    }
}

/// The beginning of a time, to the second: `2026-01-31T12:00:00`.
const TO_THE_SECOND: usize = 19;

/// Write the time as the library does, to the microsecond in UTC. What does not change within a second
/// is kept: working out the date takes longer than writing the rest of a line.
#[expect(clippy::disallowed_methods, reason = "lines bear the time at which they are written")]
fn now(writer: &mut Writer<'_>) -> fmt::Result {
    thread_local! {
        static KEPT: Cell<(u64, [u8; TO_THE_SECOND])> = const { Cell::new((u64::MAX, [0; TO_THE_SECOND])) };
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (second, date) = KEPT.get();
    if let (true, Ok(date)) = (second == since.as_secs(), str::from_utf8(&date)) {
        return write!(writer, "{date}.{:06}Z", since.subsec_micros());
    }
    let mut text = String::new();
    CalendarTime.format_time(&mut Writer::new(&mut text))?;
    // The library asked the clock again, which may have come to the next second.
    let same =
        SystemTime::now().duration_since(UNIX_EPOCH).is_ok_and(|later| later.as_secs() == since.as_secs());
    if let (true, Some(date)) = (same, text.as_bytes().first_chunk()) {
        KEPT.set((since.as_secs(), *date));
    }
    writer.write_str(&text)
}

/// A level between two spaces, as wide as the widest.
fn level(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => " ERROR ",
        Level::WARN => "  WARN ",
        Level::INFO => "  INFO ",
        Level::DEBUG => " DEBUG ",
        Level::TRACE => " TRACE ",
    }
}

struct Words<'writer> {
    writer: Writer<'writer>,
    is_begun: bool,
    result: fmt::Result,
}

impl Words<'_> {
    fn word(&mut self, field: &Field, write: impl FnOnce(&mut Clean<'_, '_>) -> fmt::Result) {
        if self.result.is_ok() {
            self.result = self.try_word(field, write);
        }
    }

    fn try_word(
        &mut self,
        field: &Field,
        write: impl FnOnce(&mut Clean<'_, '_>) -> fmt::Result,
    ) -> fmt::Result {
        if std::mem::replace(&mut self.is_begun, true) {
            self.writer.write_char(' ')?;
        }
        if field.name() != "message" {
            self.writer.write_str(field.name())?;
            self.writer.write_char('=')?;
        }
        write(&mut Clean(&mut self.writer))
    }
}

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.word(field, |out| write!(out, "{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
        self.word(field, |out| match field.name() {
            "message" => out.write_str(value),
            _ if value.bytes().all(is_plain) => {
                out.0.write_char('"')?;
                out.0.write_str(value)?;
                out.0.write_char('"')
            }
            _ => write!(out, "{value:?}"),
        });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.word(field, |out| write!(out, "{value}"));
    }
}

/// Writes text without what terminals take for commands: somebody will look at a log in one.
struct Clean<'a, 'writer>(&'a mut Writer<'writer>);

impl Write for Clean<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self.0.write_str(text);
        }
        for sign in text.chars() {
            match sign {
                '\x07' | '\x08' | '\x0c' | '\x1b' | '\x7f' => write!(self.0, "\\x{:02x}", u32::from(sign))?,
                '\u{80}'..='\u{9f}' => write!(self.0, "\\u{{{:x}}}", u32::from(sign))?,
                _ => self.0.write_char(sign)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::{Dispatch, field::Empty};

    use super::*;

    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Out {
        fn lines(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            // Everything but the time.
            text.lines().map(|line| line[line.find('Z').unwrap()..].to_owned()).collect()
        }
    }

    /// What is logged, as one formatter and the other write it.
    fn lines(log: impl Fn()) -> [Vec<String>; 2] {
        let [plain, library] = [Out::default(), Out::default()];
        let builder = |out: &Out| {
            let out = out.clone();
            tracing_subscriber::fmt().with_writer(move || out.clone()).with_target(false).with_ansi(false)
        };
        let both: [Dispatch; 2] = [
            builder(&plain).event_format(Plain).fmt_fields(Plain).finish().into(),
            builder(&library).finish().into(),
        ];
        for subscriber in &both {
            tracing::dispatcher::with_default(subscriber, &log);
        }
        [plain.lines(), library.lines()]
    }

    #[test]
    fn the_words_are_those_of_the_library() {
        let [plain, library] = lines(|| {
            tracing::warn!("Alone");
            let outer = tracing::info_span!("request", http.method = %"GET", request.id = Empty, principal.id = Empty);
            let _outer = outer.enter();
            outer.record("request.id", "an id");
            outer.record("principal.id", "a \"quoted\" one\n");
            tracing::info!(
                http.status = 200_u16,
                hot = true,
                ratio = 0.5,
                "Answered {} in {} ms",
                "GET /x",
                3
            );
            let _inner = tracing::info_span!("inner").entered();
            tracing::error!(why = ?Some("x"), text = "Grüße", "Broken \x1b[31m \u{9b} pipe");
            tracing::info!(only = 1);
            tracing::info!(message = "given", name = "x");
            let error = io::Error::other("it broke");
            tracing::error!(error = &error as &dyn std::error::Error, "Failed");
        });

        assert_eq!(plain.len(), 6);
        assert_eq!(plain, library);
    }

    #[test]
    fn the_time_is_that_of_the_library() {
        let library = || {
            let mut text = String::new();
            CalendarTime.format_time(&mut Writer::new(&mut text)).unwrap();
            text
        };
        let own = || {
            let mut text = String::new();
            now(&mut Writer::new(&mut text)).unwrap();
            text
        };

        // The second one is put together from what the first one kept.
        for _ in 0..2 {
            let (before, between, after) = (library(), own(), library());
            assert!(before <= between && between <= after, "{before} {between} {after}");
            assert_eq!(between.len(), before.len());
        }
    }

    #[test]
    fn no_field_commands_a_terminal() {
        let [plain, _] = lines(|| tracing::info!(name = %"\x1b[2J\u{9b}x"));

        assert_eq!(plain, ["Z  INFO name=\\x1b[2J\\u{9b}x"]);
    }
}
