//! `/v1/completions`: the older API of texts that go on.

use axum::{
    Json as JsonAnswer,
    extract::State,
    response::{IntoResponse, Response},
};
use breezeway_chat::{Answer, Spoken};
use breezeway_wire::openai::{self, CompletionTranslator, chat_of_completion, text_completion};
use http::StatusCode;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    error::{ApiError, ApiResult},
    extract::{JsonObject, Verified},
    routes::openai::passed_on,
    sse,
    state::ApiState,
};

pub(super) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(go_on))
}

/// Go on with a text, whole or streamed: at the upstream's own API for that, or as a chat.
#[utoipa::path(
    post, path = "/v1/completions", tag = "v1", request_body = Object,
    responses(
        (status = 200, description = "a completion, or server-sent events with `stream`"),
        (status = "4XX", description = "refused, or the upstream's own error"),
    ),
)]
async fn go_on(
    State(state): State<ApiState>,
    Verified(principal): Verified,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    let mut echo = None;
    let as_chat = |body| {
        let (chat, repeated) = chat_of_completion(body).map_err(|error| {
            ApiError::invalid("value_error", &["body", error.field()], &error.to_string(), Value::Null)
        })?;
        echo = repeated;
        Ok::<_, ApiError>(chat)
    };
    let spoken = state.chat.speak(&principal, "completions", body, as_chat).await?;
    match spoken {
        Spoken::Natively(reply) => Ok(passed_on(reply, openai::error_event)),
        Spoken::AsChat(Answer::Whole(completion)) => {
            let completion = serde_json::from_slice::<Map<String, Value>>(&completion).map_err(|_| {
                ApiError::new(StatusCode::BAD_GATEWAY, "The upstream's answer is no completion.")
            })?;
            Ok(JsonAnswer(text_completion(completion, echo.as_deref())).into_response())
        }
        Spoken::AsChat(Answer::Stream(frames)) => {
            Ok(sse::events(sse::translated(frames, CompletionTranslator::new(echo))))
        }
    }
}
