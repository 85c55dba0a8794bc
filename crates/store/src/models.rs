//! Overlays of models.

use async_trait::async_trait;
use breezeway_core::{Grantee, ModelId, StoreError};
use breezeway_registry::{ModelStore, Overlay};

use crate::{
    Store,
    db::{Tx, Value},
    departed,
    grants::{self, Resource},
};

/// All overlays, in the order they were made.
pub(crate) fn all(tx: &mut Tx<'_>) -> Result<Vec<Overlay>, StoreError> {
    let mut grants = grants::all(tx, Resource::Model)?;
    tx.query(
        "SELECT id, owner, base, name, params, meta, active, created_at, updated_at FROM models \
         ORDER BY created_at, position",
        &[],
        |row| {
            let id: ModelId = row.id("id")?;
            let grants = grants.remove(id.as_str()).unwrap_or_default();
            Ok(Overlay {
                id,
                owner: row.id("owner")?,
                base: row.opt_id("base")?,
                name: row.text("name")?,
                params: row.object("params")?,
                meta: row.object("meta")?,
                grants,
                active: row.bool("active")?,
                created_at: row.time("created_at")?,
                updated_at: row.time("updated_at")?,
            })
        },
    )
}

/// The position is the next free one.
const INSERT: &str = "INSERT INTO models \
    (id, position, owner, base, name, params, meta, active, created_at, updated_at) \
    VALUES (?1, (SELECT coalesce(max(position), 0) + 1 FROM models), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

pub(crate) fn insert(tx: &mut Tx<'_>, overlay: &Overlay) -> Result<(), StoreError> {
    departed::refuse(tx, &overlay.owner)?;
    tx.execute(INSERT, &values(overlay))?;
    grants::replace(tx, Resource::Model, overlay.id.as_str(), &overlay.grants)
}

/// Insert, or replace in its place.
pub(crate) fn save(tx: &mut Tx<'_>, overlay: &Overlay) -> Result<(), StoreError> {
    departed::refuse(tx, &overlay.owner)?;
    let sql = format!(
        "{INSERT} ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, base = excluded.base, \
         name = excluded.name, params = excluded.params, meta = excluded.meta, active = excluded.active, \
         created_at = excluded.created_at, updated_at = excluded.updated_at"
    );
    tx.execute(&sql, &values(overlay))?;
    grants::replace(tx, Resource::Model, overlay.id.as_str(), &overlay.grants)
}

/// Delete one; answers whether it existed.
pub(crate) fn delete(tx: &mut Tx<'_>, id: &ModelId) -> Result<bool, StoreError> {
    let deleted = tx.execute("DELETE FROM models WHERE id = ?1", &[id.into()])?;
    grants::replace(tx, Resource::Model, id.as_str(), &Default::default())?;
    Ok(deleted > 0)
}

pub(crate) fn clear(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM models", &[])?;
    grants::clear(tx, Resource::Model)
}

fn values(overlay: &Overlay) -> [Value<'_>; 9] {
    [
        (&overlay.id).into(),
        (&overlay.owner).into(),
        overlay.base.as_ref().into(),
        (&overlay.name).into(),
        Value::object(&overlay.params),
        Value::object(&overlay.meta),
        overlay.active.into(),
        overlay.created_at.into(),
        overlay.updated_at.into(),
    ]
}

#[async_trait]
impl ModelStore for Store {
    async fn overlays(&self) -> Result<Vec<Overlay>, StoreError> {
        self.read("read custom models", all).await
    }

    async fn insert_overlay(&self, overlay: &Overlay) -> Result<(), StoreError> {
        let overlay = overlay.clone();
        self.write("insert a custom model", move |tx| insert(tx, &overlay)).await
    }

    async fn save_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        let overlays = overlays.to_vec();
        self.write("save custom models", move |tx| overlays.iter().try_for_each(|one| save(tx, one))).await
    }

    async fn delete_overlay(&self, id: &ModelId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.write("delete a custom model", move |tx| delete(tx, &id)).await
    }

    async fn replace_overlays(&self, overlays: &[Overlay]) -> Result<(), StoreError> {
        let overlays = overlays.to_vec();
        self.write("replace custom models", move |tx| {
            clear(tx)?;
            overlays.iter().try_for_each(|one| save(tx, one))
        })
        .await
    }

    async fn depart(&self, who: &Grantee) -> Result<(), StoreError> {
        let who = who.clone();
        self.write("have an account or group depart", move |tx| departed::add(tx, &who, Resource::Model))
            .await
    }
}
