//! Refusals that must not tell what exists take the same time, whatever they hide.
//!
//! The samples are paired, the medians compared, and the bounds far apart: what would be missing is a
//! hash of a millisecond against microseconds, or a lookup of ten times the work.

use std::time::Instant;

use super::*;

/// The ratio of the medians of two things that are done in turns.
async fn ratio(pairs: usize, one: impl AsyncFn(usize), other: impl AsyncFn(usize)) -> f64 {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for pair in 0..pairs {
        let begun = Instant::now();
        one(pair).await;
        ones.push(begun.elapsed());
        let begun = Instant::now();
        other(pair).await;
        others.push(begun.elapsed());
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    median(&mut ones) / median(&mut others)
}

#[tokio::test]
async fn an_unknown_address_costs_what_a_wrong_password_costs() {
    let mut world = World::new();
    // Expensive enough to stand out from everything else.
    world.config.password = PasswordParams { memory_kib: 2048, passes: 1 };
    let (auth, ..) = world.populated().await;
    let wrong = |email: String| {
        let auth = auth.clone();
        async move {
            let refusal = auth.sign_in(&email, &"wrong".into()).await.unwrap_err();
            assert!(matches!(refusal, Error::WrongCredentials), "{refusal}");
        }
    };

    // Fewer than an address may try.
    let ratio = ratio(
        13,
        async |_| wrong("user@example.org".into()).await,
        async |pair| wrong(format!("nobody{pair}@example.org")).await,
    )
    .await;

    assert!((0.2..5.0).contains(&ratio), "{ratio}");
}

#[tokio::test]
async fn an_unknown_key_costs_what_a_revoked_one_costs() {
    let world = World::new();
    let (auth, admin, _) = world.populated().await;
    let principal = principal(&auth, &admin);
    let revoked = auth.create_api_key(&principal).await.unwrap();
    auth.delete_api_key(&principal).await.unwrap();
    let refused = |key: &str| {
        for _ in 0..20 {
            assert!(matches!(auth.authenticate(key), Err(Error::UnknownCredential)));
        }
    };

    let unknown = "sk-00112233445566778899aabbccddeeff";
    let ratio = ratio(501, async |_| refused(revoked.expose()), async |_| refused(unknown)).await;

    assert!((0.2..5.0).contains(&ratio), "{ratio}");
}
