use async_trait::async_trait;
use breezeway_chat::responses::{Keep, ResponseStore, StoredResponse};
use breezeway_core::{ResponseId, StoreError, UserId};

use crate::{Store, responses};

#[async_trait]
impl ResponseStore for Store {
    async fn keep_response(&self, response: &StoredResponse, keep: Keep) -> Result<(), StoreError> {
        let response = response.clone();
        self.write("keep a response", move |tx| responses::keep(tx, &response, keep)).await
    }

    async fn response(&self, owner: &UserId, id: &ResponseId) -> Result<Option<StoredResponse>, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.read("read a response", move |tx| responses::by_id(tx, &owner, &id)).await
    }

    async fn delete_response(&self, owner: &UserId, id: &ResponseId) -> Result<bool, StoreError> {
        let (owner, id) = (owner.clone(), id.clone());
        self.write("delete a response", move |tx| responses::delete(tx, &owner, &id)).await
    }

    async fn depart_from_responses(&self, account: &UserId) -> Result<(), StoreError> {
        let account = account.clone();
        self.write("delete somebody's responses", move |tx| responses::depart(tx, &account)).await
    }
}
