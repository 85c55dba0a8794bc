//! Which connection gave which response: a request that goes on from one has to be asked there.

use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use breezeway_core::UserId;
use breezeway_registry::{Connection, UpstreamReply};
use futures_util::StreamExt;
use lru::LruCache;

/// Most responses whose connection is remembered. Another one only finds its connection by chance.
const MOST: NonZeroUsize = NonZeroUsize::new(8192).expect("it is not zero");

/// Most bytes of an answer that are looked through for its id, which is at its beginning.
const LOOKED_AT: usize = 4096;

/// The longest id that is remembered.
const LONGEST_ID: usize = 256;

type Known = LruCache<(UserId, String), Arc<Connection>>;

/// Where responses came from. Clones share one state.
#[derive(Clone)]
pub(in crate::service) struct Homes(Arc<Mutex<Known>>);

impl Default for Homes {
    fn default() -> Self {
        // It grows with what is in it.
        let mut known = LruCache::unbounded();
        known.resize(MOST);
        Self(Arc::new(Mutex::new(known)))
    }
}

impl Homes {
    /// The connection that gave an account this response.
    pub(super) fn find(&self, account: &UserId, id: &str) -> Option<Arc<Connection>> {
        if id.len() > LONGEST_ID {
            return None;
        }
        self.known().get(&(account.clone(), id.to_owned())).cloned()
    }

    /// The same answer; its id is remembered as it passes.
    pub(super) fn watching(
        &self,
        account: &UserId,
        connection: Arc<Connection>,
        reply: UpstreamReply,
    ) -> UpstreamReply {
        let (homes, account) = (self.clone(), account.clone());
        let mut beginning = Some(Vec::new());
        let body = reply.body.inspect(move |piece| {
            let (Some(seen), Ok(piece)) = (&mut beginning, piece) else { return };
            let room = LOOKED_AT - seen.len();
            seen.extend_from_slice(&piece[..piece.len().min(room)]);
            let found = id_in(seen);
            if found.is_none() && seen.len() < LOOKED_AT {
                return;
            }
            if let Some(id) = found {
                homes.known().put((account.clone(), id.to_owned()), connection.clone());
            }
            beginning = None;
        });
        UpstreamReply { body: Box::pin(body), ..reply }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first `id` that an answer says, whole.
fn id_in(beginning: &[u8]) -> Option<&str> {
    const KEY: &[u8] = b"\"id\"";
    let at = beginning.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let value = beginning[at..].trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"")?;
    let end = value.iter().position(|&byte| byte == b'"')?;
    std::str::from_utf8(&value[..end]).ok().filter(|id| !id.is_empty() && id.len() <= LONGEST_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_once_it_is_whole() {
        for (beginning, expected) in [
            (r#"{"id":"resp_1","object":"response""#, Some("resp_1")),
            ("data: {\"type\":\"response.created\",\"response\":{\"id\" : \"r2\",", Some("r2")),
            (r#"{"id":"resp_"#, None),
            (r#"{"id":7}"#, None),
            (r#"{"error":{}}"#, None),
            ("", None),
        ] {
            assert_eq!(id_in(beginning.as_bytes()), expected, "{beginning}");
        }
    }
}
