//! The side that stays alive.

use std::{
    io,
    path::Path,
    pin::pin,
    process::{ExitStatus, Stdio},
};

use futures_util::future::{Either, join, select};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use super::{
    super::{megabytes, text_limit, time_limit},
    ExtractError, Extracted, Hint, Limits, Ocr, Source, wire,
};
use crate::{Error, Result};

/// How much of what a dying child says is looked at.
const LAST_WORDS: u64 = 8 << 10;

/// What a child answered, not yet put together: that is work for a lane.
pub(crate) struct Answer {
    text: Vec<u8>,
    outline: Vec<u8>,
}

impl Answer {
    /// Put the document together.
    ///
    /// # Errors
    /// If the answer makes no sense, which means that the file took the child over or apart.
    pub(crate) fn document(self) -> Result<Extracted, ExtractError> {
        let outline: wire::Outline = serde_json::from_slice(&self.outline).map_err(|_| nonsense())?;
        let text = String::from_utf8(self.text).map_err(|_| nonsense())?;
        outline.join(text).ok_or_else(nonsense)
    }
}

/// Extract in a child process, which is killed when time is up or the future is dropped.
pub(crate) async fn in_child(
    program: &Path,
    arguments: &[String],
    hint: &Hint,
    source: &Source,
    limits: &Limits,
    ocr: Option<&Ocr>,
) -> Result<Answer> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A signal to the server's group (an interrupt from a terminal) is the server's to handle.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(Error::Start)?;
    let request = wire::Request::new(hint, limits, ocr);
    let answered = timeout(limits.time, converse(&mut child, source, &request)).await;
    match answered {
        Err(_) => {
            stop(&mut child).await;
            Err(time_limit(limits).into())
        }
        Ok(Said::Document(answer)) => {
            stop(&mut child).await;
            Ok(answer)
        }
        Ok(Said::Failure(error)) => {
            stop(&mut child).await;
            Err(error.into())
        }
        Ok(Said::Nothing { status, last_words }) => Err(obituary(status, &last_words, limits).into()),
    }
}

/// How a conversation ended.
enum Said {
    Document(Answer),
    Failure(ExtractError),
    Nothing { status: Option<ExitStatus>, last_words: Vec<u8> },
}

async fn converse(child: &mut Child, source: &Source, request: &wire::Request) -> Said {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Said::Nothing { status: None, last_words: Vec::new() };
    };
    // A child that dies early leaves the request half written; what it said counts, not that.
    let asking = pin!(join(ask(stdin, source, request), overhear(stderr)));
    let (answered, asking) = match select(pin!(listen(stdout, request.text_bytes())), asking).await {
        Either::Left((answered, asking)) => (answered, Either::Left(asking)),
        Either::Right(((_, last_words), answering)) => (answering.await, Either::Right(last_words)),
    };
    match answered {
        Ok(Ok(answer)) => Said::Document(answer),
        Ok(Err(error)) => Said::Failure(error),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let last_words = match asking {
                Either::Left(asking) => asking.await.1,
                Either::Right(last_words) => last_words,
            };
            Said::Nothing { status: child.wait().await.ok(), last_words }
        }
        Err(_) => Said::Failure(nonsense()),
    }
}

fn nonsense() -> ExtractError {
    ExtractError::Crashed("its reader answered nonsense".to_owned())
}

async fn ask(mut to: impl AsyncWrite + Unpin, source: &Source, request: &wire::Request) -> io::Result<()> {
    send(&mut to, wire::Tag::Request, &serde_json::to_vec(request)?).await?;
    match source {
        Source::Path(path) => send(&mut to, wire::Tag::Path, path.as_os_str().as_encoded_bytes()).await?,
        Source::Bytes(bytes) => {
            for piece in bytes.chunks(wire::PIECE) {
                send(&mut to, wire::Tag::Piece, piece).await?;
            }
            send(&mut to, wire::Tag::End, &[]).await?;
        }
    }
    to.shutdown().await
}

async fn send(to: &mut (impl AsyncWrite + Unpin), tag: wire::Tag, body: &[u8]) -> io::Result<()> {
    to.write_all(&wire::header(tag, body.len())?).await?;
    to.write_all(body).await
}

async fn listen(
    mut from: impl AsyncRead + Unpin,
    text_bytes: u64,
) -> io::Result<Result<Answer, ExtractError>> {
    let mut text = Vec::new();
    loop {
        let mut head = [0; wire::HEADER];
        from.read_exact(&mut head).await?;
        let (tag, length) = wire::opened(head)?;
        match tag {
            wire::Tag::Piece => {
                if (text.len() + length) as u64 > text_bytes {
                    return Ok(Err(text_limit(text_bytes)));
                }
                let start = text.len();
                text.resize(start + length, 0);
                from.read_exact(&mut text[start..]).await?;
            }
            wire::Tag::Outline => {
                let mut outline = vec![0; length];
                from.read_exact(&mut outline).await?;
                return Ok(Ok(Answer { text, outline }));
            }
            wire::Tag::Failure => {
                let mut failure = vec![0; length];
                from.read_exact(&mut failure).await?;
                let failure: wire::Failure = serde_json::from_slice(&failure)?;
                return Ok(Err(failure.into()));
            }
            wire::Tag::Request | wire::Tag::Path | wire::Tag::End => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "frame out of order"));
            }
        }
    }
}

/// The first words on standard error. The rest is passed over, so that the child never waits for a
/// reader.
async fn overhear(mut from: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut words = Vec::new();
    let mut rest = [0; 1024];
    if (&mut from).take(LAST_WORDS).read_to_end(&mut words).await.is_ok() {
        while from.read(&mut rest).await.is_ok_and(|length| length > 0) {}
    }
    words
}

async fn stop(child: &mut Child) {
    if let Err(error) = child.kill().await {
        tracing::debug!(error = %error, "The extraction process had ended before it was stopped");
    }
}

/// Why a child died, in words for the file's owner. What it said may quote the file, so it is only
/// recognised, never repeated.
fn obituary(status: Option<ExitStatus>, last_words: &[u8], limits: &Limits) -> ExtractError {
    let words = String::from_utf8_lossy(last_words);
    if words.contains("memory allocation of") || words.contains("capacity overflow") {
        return ExtractError::Limit(format!("{} of memory for one file", megabytes(limits.memory_bytes)));
    }
    if words.contains("overflowed its stack") {
        return ExtractError::Limit("what can be nested".to_owned());
    }
    #[cfg(unix)]
    if let Some(signal) = status.and_then(|status| std::os::unix::process::ExitStatusExt::signal(&status)) {
        return match signal {
            libc::SIGXCPU => {
                ExtractError::Limit(format!("{} seconds of work for one file", limits.time.as_secs()))
            }
            libc::SIGKILL => ExtractError::Limit("what the system allows one process".to_owned()),
            _ => ExtractError::Crashed(format!("its reader was ended by signal {signal}")),
        };
    }
    match status.and_then(|status| status.code()) {
        Some(code) => ExtractError::Crashed(format!("its reader ended with code {code}")),
        None => ExtractError::Crashed("its reader ended without an answer".to_owned()),
    }
}
