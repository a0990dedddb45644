//! Forms of pages, read strictly: what a form does not have, or has twice, is no form of ours.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode, header, request};
use serde::de::{DeserializeOwned, Deserializer, Error, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::access::{Access, By};
use super::guard::equal;
use super::problem::Problem;

/// The field that shows that a form is of this session's own pages.
const CSRF: &str = "csrf";

/// The fields of a form that this session's own page sent. `T` has members of String and Option<String>.
#[derive(Debug)]
pub(super) struct CheckedForm<T>(pub(super) T);

/// A query, read as strictly; what it cannot be read as is a problem like any other.
#[derive(Debug)]
pub(super) struct CheckedQuery<T>(pub(super) T);

/// A form's fields, each once.
struct Fields(Map<String, Value>);

// === impl CheckedForm ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for CheckedForm<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let access = request.extensions().get::<Access>().cloned().unwrap_or_else(Access::nobody);
        let mut fields = Fields::of_request(request, state).await?;
        let given = fields.0.remove(CSRF);
        let is_own = match access.by {
            By::Bearer => true,
            By::None | By::Session => {
                let given = given.as_ref().and_then(Value::as_str).unwrap_or_default();
                !access.csrf.is_empty() && equal(&access.csrf, given)
            }
        };
        if !is_own {
            let why = "this form is of another session; load the page again";
            return Err(Problem::new(StatusCode::FORBIDDEN, why));
        }
        fields.read().map(CheckedForm)
    }
}

// === impl CheckedQuery ===

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for CheckedQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(CheckedQuery(query)),
            Err(rejection) => Err(Problem::bad_request(&rejection.body_text())),
        }
    }
}

/// A form of somebody who has no session yet.
pub(super) async fn unchecked<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    Fields::of_request(request, &()).await?.read()
}

// === impl Fields ===

impl Fields {
    async fn of_request<S: Send + Sync>(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_form(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "a form is needed here: Content-Type application/x-www-form-urlencoded",
            ));
        }
        // Within the router's limit of a body.
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            let status = rejection.into_response().status();
            Problem::new(status, "the form cannot be read, or is longer than 64 KiB")
        })?;
        Fields::parse(&body)
    }

    fn parse(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Map::new();
        for (name, value) in form_urlencoded::parse(body) {
            if fields.insert(name.to_string(), value.into()).is_some() {
                return Err(Problem::bad_request(&format!("the form has `{name}` twice")));
            }
        }
        Ok(Fields(fields))
    }

    fn read<T: DeserializeOwned>(self) -> Result<T, Problem> {
        T::deserialize(self)
            .map_err(|e| Problem::bad_request(&format!("the form is not the one expected: {e}")))
    }
}

impl<'de> Deserializer<'de> for Fields {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        Value::Object(self.0).into_deserializer().deserialize_any(visitor)
    }

    /// Refuses what the type does not name, whether the type says so or not.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if let Some(unknown) = self.0.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(Self::Error::unknown_field(unknown, known));
        }
        Value::Object(self.0).into_deserializer().deserialize_struct(name, known, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Flip {
        primary: String,
        reason: Option<String>,
    }

    async fn sent(by: By, csrf: &str, body: &str) -> Result<Flip, u16> {
        let access = Access { reach: super::super::access::Reach::Everything, csrf: csrf.into(), by };
        let request = http::Request::post("/flip")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .extension(access)
            .body(Body::from(body.to_owned()))
            .unwrap();
        match CheckedForm::from_request(request, &()).await {
            Ok(CheckedForm(flip)) => Ok(flip),
            Err(problem) => Err(problem.into_response().status().as_u16()),
        }
    }

    #[tokio::test]
    async fn a_form_needs_the_token_of_its_session() {
        let flip = |reason: Option<&str>| Flip { primary: "a b".into(), reason: reason.map(str::to_owned) };
        assert_eq!(sent(By::Session, "s", "primary=a+b&csrf=s&reason=%26").await, Ok(flip(Some("&"))));
        assert_eq!(sent(By::None, "s", "csrf=s&primary=a+b").await, Ok(flip(None)));
        for by in [By::Session, By::None] {
            for body in ["primary=a", "primary=a&csrf=", "primary=a&csrf=t", "primary=a&csrf=ss"] {
                assert_eq!(sent(by, "s", body).await, Err(403), "{by:?} {body}");
            }
            assert_eq!(sent(by, "", "primary=a&csrf=").await, Err(403), "nobody's token is no token");
        }
    }

    #[tokio::test]
    async fn a_caller_with_a_bearer_token_needs_none() {
        assert!(sent(By::Bearer, "", "primary=a").await.is_ok());
        assert!(sent(By::Bearer, "", "primary=a&csrf=any").await.is_ok());
    }

    #[tokio::test]
    async fn a_form_has_the_fields_it_has_and_each_once() {
        for body in
            ["csrf=s", "primary=a&csrf=s&more=1", "primary=a&primary=b&csrf=s", "primary=a&csrf=s&csrf=s"]
        {
            assert_eq!(sent(By::Session, "s", body).await, Err(400), "{body}");
        }
    }

    #[tokio::test]
    async fn only_what_a_form_sends_is_read() {
        for content_type in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
            let request = http::Request::post("/flip")
                .header("content-type", content_type)
                .extension(Access { csrf: "s".into(), ..Access::nobody() })
                .body(Body::from("primary=a&csrf=s"))
                .unwrap();
            let refused = CheckedForm::<Flip>::from_request(request, &()).await.unwrap_err();
            assert_eq!(refused.into_response().status(), 415);
        }
    }
}
