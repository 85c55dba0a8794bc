//! Documents that are read by a service.

use std::time::Duration;

use breezeway::parts::{
    core::Secret,
    ingest::service::{EngineConfig, EngineKind},
};
use breezeway_testkit::{Reply, ScriptedUpstream};
use http::Method;
use serde_json::{Value, json};

use crate::harness::{Client, TestServer, eventually};

async fn server(engine: EngineConfig) -> (TestServer, Client) {
    let mut server = TestServer::with(|config| config.engine = engine).await;
    server.run();
    let ada = server.sign_up("ada").await;
    (server, ada)
}

/// Upload a file, wait for its end, and tell what became of it.
async fn read(client: &Client, name: &str, media_type: &str, bytes: &[u8]) -> Value {
    let head = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{}\"\r\ncontent-type: {media_type}\r\n\r\n",
        name.replace('"', "%22"),
    );
    let body = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
    let form = client.with_header("content-type", "multipart/form-data; boundary=edge");
    let uploaded = form.send(Method::POST, "/api/v1/files/", body.into()).await.json();
    let path = format!("/api/v1/files/{}", uploaded["id"].as_str().expect("an id"));
    eventually("the file is read", async || {
        let data = client.get(&path).await.json()["data"].clone();
        matches!(data["status"].as_str(), Some("completed" | "failed")).then_some(data)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tika_is_sent_the_bytes_and_no_text() {
    let tika = ScriptedUpstream::start().await;
    tika.always(
        "/tika/text",
        Reply::json(200, &json!({"X-TIKA:content": "\n Boats drift.\r\n", "dc:title": "Canal"})),
    );
    let engine = EngineConfig {
        kind: EngineKind::Tika,
        tika_url: format!("{}/", tika.url()),
        pdf_images: true,
        ..EngineConfig::default()
    };
    let (_server, ada) = server(engine).await;

    let scan = read(&ada, "scan.pdf", "application/pdf", b"%PDF-1.4 bytes").await;
    let notes = read(&ada, "notes.txt", "text/plain", b"Trams are late.").await;

    assert_eq!(scan["content"], "Boats drift.");
    assert_eq!(notes["content"], "Trams are late.");
    let asked = tika.received();
    assert_eq!(asked.len(), 1, "a text is read here");
    assert_eq!((asked[0].method.as_str(), asked[0].path.as_str()), ("PUT", "/tika/text"));
    assert_eq!(asked[0].header("x-tika-pdfextractinlineimages"), Some("true"));
    assert_eq!(&asked[0].body()[..], b"%PDF-1.4 bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docling_gets_a_form_with_its_options_and_key() {
    let docling = ScriptedUpstream::start().await;
    docling.always(
        "/v1/convert/file",
        Reply::json(200, &json!({"document": {"md_content": "# Canal\n\nBoats."}})),
    );
    let params = json!({"do_ocr": true, "ocr_lang": ["en", "de"]});
    let engine = EngineConfig {
        kind: EngineKind::Docling,
        docling_url: docling.url(),
        docling_params: params.as_object().cloned().expect("an object"),
        key: Some((docling.url(), Secret::from("docling-key"))),
        ..EngineConfig::default()
    };
    let (_server, ada) = server(engine).await;

    let scan = read(&ada, "scan \"1\".png", "image/png", b"\x89PNG bytes").await;

    assert_eq!(scan["content"], "# Canal\n\nBoats.");
    let asked = docling.last_at("/v1/convert/file");
    assert_eq!(asked.header("x-api-key"), Some("docling-key"));
    let body = String::from_utf8_lossy(&asked.body()).into_owned();
    for part in [
        "name=\"image_export_mode\"\r\n\r\nplaceholder\r\n",
        "name=\"do_ocr\"\r\n\r\ntrue\r\n",
        "name=\"ocr_lang\"\r\n\r\nen\r\n",
        "name=\"ocr_lang\"\r\n\r\nde\r\n",
        "name=\"files\"; filename=\"scan %221%22.png\"\r\nContent-Type: image/png\r\n\r\n",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_external_loader_answers_pages_that_citations_know() {
    let loader = ScriptedUpstream::start().await;
    let pages = json!([
        {"page_content": "Trams are late.", "metadata": {"page": 0, "title": "Town"}},
        {"page_content": "Boats drift.", "metadata": {"page": 1}},
    ]);
    loader.always("/load/process", Reply::json(200, &pages));
    let url = format!("{}/load", loader.url());
    let engine = EngineConfig {
        kind: EngineKind::External,
        external_url: url.clone(),
        key: Some((url, Secret::from("loader-key"))),
        ..EngineConfig::default()
    };
    let (_server, ada) = server(engine).await;

    let town = read(&ada, "tówn.pdf", "application/pdf", b"%PDF-1.4 bytes").await;

    assert_eq!(town["content"], "Trams are late.\n\nBoats drift.");
    let asked = loader.last_at("/load/process");
    assert_eq!(asked.method, "PUT");
    assert_eq!(asked.header("authorization"), Some("Bearer loader-key"));
    assert_eq!(asked.header("x-filename"), Some("t%C3%B3wn.pdf"));
    assert_eq!(asked.header("content-type"), Some("application/pdf"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_service_refuses_fails_with_its_words_and_an_admin_can_do_without_it() {
    let tika = ScriptedUpstream::start().await;
    tika.always("/tika/text", Reply::json(422, &json!({"detail": "Unsupported media"})));
    let engine = EngineConfig { kind: EngineKind::Tika, tika_url: tika.url(), ..EngineConfig::default() };
    let (_server, ada) = server(engine).await;
    let page = b"<html><body><p>Line 4 is late.</p></body></html>";

    let refused = read(&ada, "trams.html", "text/html", page).await;
    let change = json!({"CONTENT_EXTRACTION_ENGINE": ""});
    let changed = ada.post("/api/v1/retrieval/config/update", change).await;
    let local = read(&ada, "trams.html", "text/html", page).await;

    assert_eq!(refused["status"], "failed");
    assert_eq!(refused["error"], "Error calling Tika: 422 Unprocessable Entity - Unsupported media");
    assert_eq!(changed.status, 200);
    assert_eq!(local["content"], "Line 4 is late.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_goes_to_no_other_address_and_silence_ends() {
    let loader = ScriptedUpstream::start().await;
    loader.always("/process", Reply::json(200, &json!({"page_content": "Boats drift."})));
    let engine = EngineConfig {
        kind: EngineKind::External,
        external_url: loader.url(),
        key: Some(("http://elsewhere.example".to_owned(), Secret::from("loader-key"))),
        timeout: Duration::from_secs(5),
        ..EngineConfig::default()
    };
    let (_server, ada) = server(engine).await;

    let read = read(&ada, "canal.bin", "application/octet-stream", b"bytes").await;

    assert_eq!(read["content"], "Boats drift.");
    assert_eq!(loader.last_at("/process").header("authorization"), None);
}
