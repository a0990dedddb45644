//! Which writes are journalled: an allow-list of methods and paths.

use http::Method;

/// The writes that go to both stores.
#[derive(Debug, Clone, Default)]
pub struct WriteRoutes {
    routes: Vec<WriteRoute>,
    routers: Vec<(Method, matchit::Router<usize>)>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRoute {
    /// `DELETE /api/delete/{id}`, as configured.
    pub label: String,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub pattern: String,
}

/// A write that is journalled: its route, and the values of its path's parameters, still percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched<'r> {
    /// Which route.
    pub route: &'r WriteRoute,
    /// Its parameters.
    pub parameters: Vec<String>,
}

// === impl WriteRoute ===

impl WriteRoute {
    /// Reads `METHOD /path`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(label: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("write route `{label}` {why}, as in \"DELETE /api/delete/{{id}}\"");
        let (method, pattern) =
            label.trim().split_once(' ').ok_or_else(|| wrong("must be a method and a path"))?;
        let pattern = pattern.trim();
        if !pattern.starts_with('/') {
            return Err(wrong("must have a path that starts with /"));
        }
        match method {
            "POST" | "PUT" | "PATCH" | "DELETE" => {}
            _ => return Err(wrong("must begin with POST, PUT, PATCH or DELETE")),
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong("has no usable method"))?;
        Ok(WriteRoute { label: format!("{method} {pattern}"), method, pattern: pattern.to_owned() })
    }
}

// === impl WriteRoutes ===

impl WriteRoutes {
    /// Builds the table.
    ///
    /// # Errors
    /// Names the route that cannot be used or clashes with another.
    pub fn new(routes: Vec<WriteRoute>) -> Result<Self, String> {
        let mut routers: Vec<(Method, matchit::Router<usize>)> = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let clash = |e: matchit::InsertError| format!("write route `{}`: {e}", route.label);
            match routers.iter_mut().find(|(method, _)| *method == route.method) {
                Some((_, router)) => router.insert(&route.pattern, index).map_err(clash)?,
                None => {
                    let mut router = matchit::Router::new();
                    router.insert(&route.pattern, index).map_err(clash)?;
                    routers.push((route.method.clone(), router));
                }
            }
        }
        Ok(WriteRoutes { routes, routers })
    }

    /// The route of a request; None if it is not journalled. Slashes that are there twice, or at the end, are none: servers
    /// take such paths (a base URL that ends in one makes them), and what they take must not go to one store alone.
    #[must_use]
    pub fn find(&self, method: &Method, path: &str) -> Option<Matched<'_>> {
        let (_, router) = self.routers.iter().find(|(known, _)| known == method)?;
        let plain;
        let found = match router.at(path) {
            Ok(found) => found,
            Err(_) => {
                plain = format!(
                    "/{}",
                    path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
                );
                router.at(&plain).ok()?
            }
        };
        let route = self.routes.get(*found.value)?;
        Some(Matched { route, parameters: found.params.iter().map(|(_, value)| value.to_owned()).collect() })
    }

    /// All of them, in order of configuration.
    pub fn iter(&self) -> impl Iterator<Item = &WriteRoute> {
        self.routes.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_found_by_method_and_path() {
        let labels = ["POST /ingest/report", "DELETE /api/delete/{id}", "POST /api/delete"];
        let routes = labels.iter().map(|label| WriteRoute::parse(label).unwrap()).collect();
        let routes = WriteRoutes::new(routes).unwrap();
        let found = routes.find(&Method::DELETE, "/api/delete/yt%3Aa").unwrap();
        assert_eq!(
            (found.route.label.as_str(), found.parameters),
            ("DELETE /api/delete/{id}", vec!["yt%3Aa".to_owned()])
        );
        assert!(routes.find(&Method::POST, "/api/delete").is_some());
        for path in ["//ingest/report", "/ingest//report", "/ingest/report/"] {
            assert!(routes.find(&Method::POST, path).is_some(), "{path}");
        }
        let found = routes.find(&Method::DELETE, "//api/delete/a").unwrap();
        assert_eq!(found.parameters, ["a"]);
        assert!(routes.find(&Method::DELETE, "/api/delete//").is_none());
        assert!(routes.find(&Method::POST, "/api/delete/a").is_none());
        assert!(routes.find(&Method::PUT, "/ingest/report").is_none());
    }

    #[test]
    fn what_is_no_write_is_refused() {
        for label in ["/ingest", "GET /a", "POST a", "POST", ""] {
            assert!(WriteRoute::parse(label).is_err(), "{label}");
        }
        let twice = ["POST /a/{x}", "POST /a/{y}"].map(|label| WriteRoute::parse(label).unwrap());
        assert!(WriteRoutes::new(twice.to_vec()).unwrap_err().contains("/a/{y}"));
    }
}
