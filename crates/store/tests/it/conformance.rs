use crate::support::Stores;

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_account_store() {
    let stores = Stores::new();

    breezeway_auth::conformance::account_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_ledger_store() {
    let stores = Stores::new();

    breezeway_usage::conformance::ledger_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_audit_store() {
    let stores = Stores::new();

    breezeway_auth::conformance::audit_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_chat_store() {
    let stores = Stores::new();

    breezeway_chat::history::conformance::chat_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_response_store() {
    let stores = Stores::new();

    breezeway_chat::responses::conformance::response_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_model_store() {
    let stores = Stores::new();

    breezeway_registry::conformance::model_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_draft_store() {
    let stores = Stores::new();

    breezeway_knowledge::conformance::draft_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_library_store() {
    let stores = Stores::new();

    breezeway_knowledge::conformance::library_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_attribute_store() {
    let stores = Stores::new();

    breezeway_knowledge::conformance::attribute_store(async || stores.fresh().await).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_chunk_store() {
    let stores = Stores::new();

    breezeway_knowledge::conformance::chunk_store(async || stores.fresh().await).await;
}
