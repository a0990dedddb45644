//! The web page: screens rendered by the server, forms that call what the JSON API calls.
//!
//! Values from bodies are text here: the templates escape them, and nothing is marked as safe. Not for: who may see or
//! change what (`guard`, `form`).

mod assets;
mod audit;
mod checks;
pub(crate) mod finding;
mod findings;
mod flip;
pub(crate) mod frame;
mod overview;
mod sample;
mod spark;
mod told;
mod words;
mod writes;

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};

pub(super) use self::assets::{asset, version};
pub(super) use self::audit::audit;
pub(super) use self::finding::{finding, judge, recheck};
pub(super) use self::findings::findings;
pub(super) use self::flip::{ask_dial, ask_flip, epoch, flip, latch, rollback};
pub(super) use self::overview::overview;
pub(super) use self::writes::{decide, writes};
use super::guard::takes_html;
use super::problem::Problem;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A screen.
fn html(screen: &impl Template) -> Result<Response, Problem> {
    html_as(StatusCode::OK, screen)
}

fn html_as(status: StatusCode, screen: &impl Template) -> Result<Response, Problem> {
    let text = screen.render().map_err(|e| Problem::internal(&e))?;
    Ok((status, [(CONTENT_TYPE, HTML)], text).into_response())
}

#[derive(Template)]
#[template(path = "admin/problem.html")]
struct ProblemScreen<'a> {
    title: &'a str,
    detail: &'a str,
    assets: &'static str,
}

/// Turns a problem into a page where a browser asked for one.
pub(super) async fn present(request: Request, next: Next) -> Response {
    let is_browser = takes_html(request.headers()) && !request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>().filter(|_| is_browser) else {
        return response;
    };
    let title = problem.status().canonical_reason().unwrap_or("Problem");
    let screen = ProblemScreen { title, detail: problem.detail(), assets: assets::version() };
    match screen.render() {
        Ok(text) => {
            let (mut parts, _) = response.into_parts();
            parts.headers.remove(CONTENT_LENGTH);
            parts.headers.insert(CONTENT_TYPE, HTML);
            Response::from_parts(parts, Body::from(text))
        }
        Err(_) => response,
    }
}

/// Where the browser goes after a form was taken.
fn to(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}
