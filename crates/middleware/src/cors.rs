//! Cross-origin requests: whose pages may call.
//!
//! With `*` every origin is answered by its own name, because browsers do not send credentials to a
//! server that answers with the star itself. The session cookie is `SameSite=Lax`, so a foreign page
//! still cannot act with it.

use http::{HeaderValue, Uri, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::InvalidConfig;

/// A layer that answers preflights and names the allowed origin.
///
/// # Errors
/// If one of the texts is no origin.
pub fn cors(origins: &[String]) -> Result<CorsLayer, InvalidConfig> {
    let allowed = if origins.iter().any(|origin| origin.trim() == "*") {
        AllowOrigin::mirror_request()
    } else {
        AllowOrigin::list(origins.iter().map(|origin| parse(origin)).collect::<Result<Vec<_>, _>>()?)
    };
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_credentials(true)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        // Caches need to know even where the request named no origin.
        .vary([header::ORIGIN]))
}

fn parse(text: &str) -> Result<HeaderValue, InvalidConfig> {
    let invalid = || InvalidConfig::Origin(text.to_owned());
    let origin = text.trim().trim_end_matches('/');
    let uri = origin.parse::<Uri>().map_err(|_| invalid())?;
    let bare = uri.scheme().is_some() && uri.authority().is_some() && matches!(uri.path(), "" | "/");
    if !bare || uri.query().is_some() {
        return Err(invalid());
    }
    HeaderValue::from_str(origin).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{HeaderMap, Method, Request, Response, StatusCode};
    use tower::{Layer, ServiceExt, service_fn};

    use super::*;

    async fn answer(origins: &[&str], method: Method, origin: Option<&str>) -> (StatusCode, HeaderMap) {
        let origins: Vec<_> = origins.iter().map(|&origin| origin.to_owned()).collect();
        let service = cors(&origins).unwrap().layer(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::builder().status(StatusCode::CREATED).body(()).unwrap())
        }));
        let mut request = Request::builder().method(method).header("access-control-request-headers", "x-odd");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = service.oneshot(request.body(()).unwrap()).await.unwrap();
        (answer.status(), answer.headers().clone())
    }

    #[tokio::test]
    async fn a_star_answers_every_origin_by_its_name() {
        let (status, headers) = answer(&["*"], Method::GET, Some("https://a.example")).await;

        assert_eq!(status, StatusCode::CREATED);
        assert_eq!(headers["access-control-allow-origin"], "https://a.example");
        assert_eq!(headers["access-control-allow-credentials"], "true");
        assert_eq!(headers["vary"], "origin");
    }

    #[tokio::test]
    async fn a_list_answers_its_members_only() {
        let list = ["https://a.example/", "http://localhost:5173"];

        for (origin, expected) in [
            ("https://a.example", Some("https://a.example")),
            ("http://localhost:5173", Some("http://localhost:5173")),
            ("https://b.example", None),
            ("null", None),
        ] {
            let (_, headers) = answer(&list, Method::GET, Some(origin)).await;
            let named = headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap());
            assert_eq!(named, expected, "{origin}");
        }
    }

    #[tokio::test]
    async fn a_preflight_is_answered_here() {
        let (status, headers) = answer(&["*"], Method::OPTIONS, Some("https://a.example")).await;

        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["access-control-allow-headers"], "x-odd");
    }

    #[tokio::test]
    async fn a_request_without_an_origin_still_varies_by_it() {
        let (_, headers) = answer(&["*"], Method::GET, None).await;

        assert_eq!(headers["vary"], "origin");
        assert_eq!(headers.get("access-control-allow-origin"), None);
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for odd in ["", "a.example", "https://a.example/path", "https://a.example?q", "not an origin"] {
            assert_eq!(cors(&[odd.to_owned()]).unwrap_err(), InvalidConfig::Origin(odd.to_owned()));
        }
    }
}
