//! What is sent again, and when.

use std::time::Duration;

use crate::UpstreamError;

/// How long an upstream is left alone that asks for a pause and does not say for how long.
const USUAL_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that an upstream can ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Whether another connection may be asked after this failure.
///
/// What was never received, or was refused as too much for now, is safe to send again: no connection,
/// no place, 429, 502, 503, 504, and 529, which some use for "overloaded". After all else the upstream
/// may have worked on the request and somebody may pay for it twice, so that is only sent again where
/// the connection says `retry_broken`. What another upstream would refuse as well (4xx) never is.
pub(crate) fn may_repeat(error: &UpstreamError, retry_broken: bool) -> bool {
    match error {
        UpstreamError::Unreachable(_) | UpstreamError::Busy { .. } => true,
        UpstreamError::Answered { status: 429 | 502 | 503 | 504 | 529, .. } => true,
        UpstreamError::Answered { status, .. } => retry_broken && *status >= 500,
        UpstreamError::Broken(_) | UpstreamError::TimedOut(_) | UpstreamError::Malformed(_) => retry_broken,
        UpstreamError::Unsupported(_) => false,
    }
}

/// What a failure says about its upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works, and does not like the request.
    Works,
    /// Something is wrong with it.
    Fails,
    /// Nothing.
    Silent,
}

pub(crate) fn verdict(error: &UpstreamError) -> Verdict {
    match error {
        // Too much is asked of it; that is what the pause is for.
        UpstreamError::Answered { status: 429, .. } | UpstreamError::Busy { .. } => Verdict::Silent,
        UpstreamError::Answered { status, .. } if *status < 500 => Verdict::Works,
        UpstreamError::Unsupported(_) => Verdict::Silent,
        _ => Verdict::Fails,
    }
}

/// For how long an upstream wants no calls. A date instead of seconds counts as not said: clocks
/// differ, and nobody who serves models sends one.
pub(crate) fn pause(error: &UpstreamError) -> Option<Duration> {
    let UpstreamError::Answered { status, retry_after, .. } = error else { return None };
    let said = retry_after.as_deref().and_then(|text| text.trim().parse::<f64>().ok());
    let said = said.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    match (status, said) {
        (429, said) => Some(said.unwrap_or(USUAL_PAUSE).min(LONGEST_PAUSE)),
        (500.., Some(said)) => Some(said.min(LONGEST_PAUSE)),
        _ => None,
    }
}

/// How long to wait before a connection is asked again: anything up to a limit that doubles. "Full
/// jitter" of Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), which takes least
/// work for all together. `luck` is from 0 to 1.
pub(crate) fn backoff(tried: u32, first: Duration, at_most: Duration, luck: f64) -> Duration {
    first.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(at_most).mul_f64(luck)
}

/// The failure to tell the client of, of two: an upstream's own words say more than ours.
pub(crate) fn more_telling(earlier: Option<UpstreamError>, later: UpstreamError) -> UpstreamError {
    match (earlier, later) {
        (Some(said @ UpstreamError::Answered { .. }), later)
            if !matches!(later, UpstreamError::Answered { .. }) =>
        {
            said
        }
        (Some(earlier), UpstreamError::Busy { .. }) => earlier,
        (_, later) => later,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&str>) -> UpstreamError {
        let retry_after = retry_after.map(str::to_owned);
        UpstreamError::Answered { status, content_type: None, body: Default::default(), retry_after }
    }

    #[test]
    fn what_may_have_been_worked_on_is_only_repeated_where_that_is_wanted() {
        let busy = UpstreamError::Busy { retry_after: USUAL_PAUSE };
        for (error, always, if_wanted) in [
            (UpstreamError::Unreachable(String::new()), true, true),
            (busy, true, true),
            (answered(429, None), true, true),
            (answered(502, None), true, true),
            (answered(503, None), true, true),
            (answered(504, None), true, true),
            (answered(529, None), true, true),
            (answered(500, None), false, true),
            (UpstreamError::Broken(String::new()), false, true),
            (UpstreamError::TimedOut(USUAL_PAUSE), false, true),
            (UpstreamError::Malformed(String::new()), false, true),
            (answered(400, None), false, false),
            (answered(401, None), false, false),
            (answered(404, None), false, false),
            (UpstreamError::Unsupported("x"), false, false),
        ] {
            assert_eq!((may_repeat(&error, false), may_repeat(&error, true)), (always, if_wanted), "{error}");
        }
    }

    #[test]
    fn a_pause_is_as_long_as_the_upstream_says() {
        let seconds = |seconds: f64| Some(Duration::from_secs_f64(seconds));
        for (error, expected) in [
            (answered(429, Some("7")), seconds(7.0)),
            (answered(429, Some(" 0.5 ")), seconds(0.5)),
            (answered(429, None), seconds(1.0)),
            (answered(429, Some("Wed, 21 Oct 2015 07:28:00 GMT")), seconds(1.0)),
            (answered(429, Some("-3")), seconds(1.0)),
            (answered(429, Some("1e99")), seconds(1.0)),
            (answered(429, Some("86400")), seconds(600.0)),
            (answered(503, Some("3")), seconds(3.0)),
            (answered(503, None), None),
            (answered(400, Some("3")), None),
            (UpstreamError::Broken(String::new()), None),
        ] {
            assert_eq!(pause(&error), expected, "{error:?}");
        }
    }

    #[test]
    fn pauses_grow_to_a_limit_and_are_random() {
        let most =
            |tried| backoff(tried, Duration::from_millis(100), Duration::from_secs(2), 1.0).as_millis();

        assert_eq!([1, 2, 3, 5, 6, 99].map(most), [100, 200, 400, 1600, 2000, 2000]);
        assert_eq!(backoff(9, Duration::from_secs(1), Duration::from_secs(2), 0.0), Duration::ZERO);
    }

    #[test]
    fn an_upstreams_own_words_are_told() {
        let unreachable = || UpstreamError::Unreachable(String::new());

        assert!(matches!(
            more_telling(Some(answered(503, None)), unreachable()),
            UpstreamError::Answered { status: 503, .. }
        ));
        assert!(matches!(
            more_telling(Some(answered(503, None)), answered(429, None)),
            UpstreamError::Answered { status: 429, .. }
        ));
        assert!(matches!(
            more_telling(Some(unreachable()), answered(502, None)),
            UpstreamError::Answered { .. }
        ));
    }
}
