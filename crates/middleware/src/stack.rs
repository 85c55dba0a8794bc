//! All layers in their order.

use std::convert::Infallible;

use breezeway_auth::Auth;
use breezeway_usage::Meter;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::UnsyncBoxBody};
use tower::{BoxError, Service, ServiceBuilder, util::BoxCloneSyncService};

use crate::{
    CredentialsLayer, InvalidConfig, MiddlewareConfig, PanicGuardLayer, RatesLayer, SecurityHeadersLayer,
    SetRequestIdLayer, TimingLayer, TraceLayer, compression, cors,
};

/// The body of every answer that leaves the stack.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A service with all layers around it, for requests with bodies of type `B`.
pub type Stack<B> = BoxCloneSyncService<Request<B>, Response<Body>, Infallible>;

/// Put all layers around `inner`, which sees each request with a `Principal` or an
/// [`AuthRefusal`](crate::AuthRefusal) and with a [`RequestId`](crate::RequestId).
///
/// # Errors
/// If no layer can be made from a setting.
pub fn stack<S, B, R>(
    config: &MiddlewareConfig,
    auth: Auth,
    meter: Meter,
    inner: S,
) -> Result<Stack<B>, InvalidConfig>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let service = ServiceBuilder::new()
        // The layers each have a body of their own; one type leaves.
        .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
        // Everything below speaks of the request by its id, and every answer carries it.
        .layer(SetRequestIdLayer)
        // The span covers all that happens, answers made by the layers below included.
        .layer(TraceLayer)
        // As near to the whole time as a header can tell.
        .layer(TimingLayer)
        // Above whatever answers by itself (preflights, panics), so that those have the headers too.
        .layer(SecurityHeadersLayer::new(&config.security_headers)?)
        // A preflight carries no credentials, so it is answered before they are looked for; an error
        // without these headers could not be read by the page that caused it.
        .layer(cors(&config.cors_origins)?)
        // Inside of CORS, which must see the final `vary`; outside of the guard, whose bodies it reads.
        .layer(compression(config.compression))
        // As far in as possible, so that a panic leaves as an ordinary answer through all the above.
        .layer(PanicGuardLayer)
        // Next to the routes that read what it finds.
        .layer(
            CredentialsLayer::new(auth, &config.api_key_header)?
                .trusting(&config.cors_origins)
                .behind(config.trusted_headers.as_ref())?,
        )
        // Last, because it asks who it is.
        .layer(RatesLayer::new(meter))
        .service(inner);
    Ok(BoxCloneSyncService::new(service))
}

#[cfg(test)]
mod tests {
    use breezeway_core::Principal;
    use http::{Method, StatusCode};
    use http_body_util::Full;
    use tower::{ServiceExt, service_fn};

    use super::*;
    use crate::{AuthRefusal, RequestId, testing};

    async fn service(config: &MiddlewareConfig, auth: Auth) -> Result<Stack<()>, InvalidConfig> {
        let inner = service_fn(async |request: Request<()>| {
            assert!(request.extensions().get::<RequestId>().is_some());
            if request.uri().path() == "/panic" {
                panic!("expected by the test");
            }
            let answer = match request.extensions().get::<AuthRefusal>() {
                Some(_) => Response::builder().status(StatusCode::UNAUTHORIZED),
                None => Response::builder().header("content-type", "application/json"),
            };
            let name =
                request.extensions().get::<Principal>().map_or("stranger", |who| &who.name).repeat(1000);
            Ok(answer.body(Full::new(Bytes::from(name))).unwrap())
        });
        stack(config, auth, testing::meter().await, inner)
    }

    async fn answer(path: &str, method: Method, token: Option<&str>, auth: &Auth) -> Response<Body> {
        let mut request = Request::builder()
            .uri(path)
            .method(method)
            .header("origin", "https://a.example")
            .header("accept-encoding", "gzip");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let service = service(&MiddlewareConfig::default(), auth.clone()).await.unwrap();
        service.oneshot(request.body(()).unwrap()).await.unwrap()
    }

    fn assert_common_headers(answer: &Response<Body>) {
        for name in [
            "x-request-id",
            "x-process-time",
            "x-content-type-options",
            "access-control-allow-origin",
            "vary",
        ] {
            assert!(answer.headers().contains_key(name), "{name} in {:?}", answer.headers());
        }
    }

    #[tokio::test]
    async fn an_answer_passes_all_layers() {
        let auth = testing::auth(false).await;
        let session = testing::sign_up(&auth, "ada").await;

        let answer = answer("/", Method::GET, Some(session.token.expose()), &auth).await;

        assert_eq!(answer.status(), StatusCode::OK);
        assert_common_headers(&answer);
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        assert!(answer.into_body().collect().await.unwrap().to_bytes().len() < 1000);
    }

    #[tokio::test]
    async fn a_stranger_reaches_the_route_with_the_reason() {
        let auth = testing::auth(false).await;

        let answer = answer("/", Method::GET, None, &auth).await;

        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_common_headers(&answer);
    }

    #[tokio::test]
    async fn a_panic_and_a_preflight_have_all_headers() {
        let auth = testing::auth(false).await;

        let panicked = answer("/panic", Method::GET, None, &auth).await;
        let preflight = answer("/", Method::OPTIONS, None, &auth).await;

        assert_eq!(panicked.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_common_headers(&panicked);
        assert_eq!(panicked.into_body().collect().await.unwrap().to_bytes(), "Internal Server Error");
        assert_eq!(preflight.status(), StatusCode::OK);
        assert_common_headers(&preflight);
    }

    #[tokio::test]
    async fn the_closing_line_names_the_account() {
        let log = testing::Log::start();
        let auth = testing::auth(false).await;
        let session = testing::sign_up(&auth, "ada").await;

        let answer = answer("/", Method::GET, Some(session.token.expose()), &auth).await;
        answer.into_body().collect().await.unwrap();

        let lines = log.lines();
        let closing = lines.iter().find(|line| line.contains("Answered")).unwrap();
        assert!(closing.contains(&format!("principal.id=\"{}\"", session.account.id)), "{closing}");
        assert!(!closing.contains(session.token.expose()), "{closing}");
    }

    #[tokio::test]
    async fn settings_that_make_no_layer_are_named() {
        let auth = testing::auth(false).await;
        let config = MiddlewareConfig { cors_origins: vec!["nowhere".into()], ..MiddlewareConfig::default() };

        let refusal = service(&config, auth).await.err();

        assert_eq!(refusal, Some(InvalidConfig::Origin("nowhere".into())));
    }
}
