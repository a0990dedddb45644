//! The allow-list: which paths are compared, and how. Matching is on the raw path before `?`.

use std::sync::Arc;

use crate::compare::Rules;

/// Label of everything that no route names.
pub const OTHER: &str = "other";

/// One named route.
#[derive(Debug, Clone)]
pub struct Route {
    /// The pattern as configured; also the metric label.
    pub pattern: String,
    /// How its answers are compared.
    pub rules: Arc<Rules>,
    /// Whether a flip needs evidence of it.
    pub required: bool,
}

/// All named routes.
#[derive(Debug, Clone)]
pub struct Routes {
    routes: Vec<Route>,
    router: matchit::Router<usize>,
}

// === impl Route ===

impl Route {
    /// Whether the pattern names no parameter, so that what is read is no single record.
    #[must_use]
    pub fn is_list(&self) -> bool {
        // Doubled, a brace stands for itself.
        !self.pattern.split("{{").any(|part| part.contains('{'))
    }
}

// === impl Routes ===

impl Routes {
    /// Builds the table; later lookups cost one walk.
    ///
    /// # Errors
    /// Names the pattern that cannot be used or clashes with another.
    pub fn new(routes: Vec<Route>) -> Result<Self, String> {
        let mut router = matchit::Router::new();
        for (index, route) in routes.iter().enumerate() {
            if !route.pattern.starts_with('/') {
                return Err(format!("route `{}` must start with /", route.pattern));
            }
            router.insert(&route.pattern, index).map_err(|e| format!("route `{}`: {e}", route.pattern))?;
        }
        Ok(Routes { routes, router })
    }

    /// Index and route of `path`, if one is named.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<(usize, &Route)> {
        let index = *self.router.at(path).ok()?.value;
        self.routes.get(index).map(|route| (index, route))
    }

    /// Index that stands for everything else.
    #[must_use]
    pub fn other(&self) -> usize {
        self.routes.len()
    }

    /// All routes in order of configuration.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Route)> {
        self.routes.iter().enumerate()
    }

    /// Every metric label, by index.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let named = self.routes.iter().map(|route| route.pattern.clone());
        named.chain([OTHER.to_owned()]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> Result<Routes, String> {
        let route = |pattern: &&str| Route {
            pattern: (*pattern).to_owned(),
            rules: Arc::new(Rules::default()),
            required: true,
        };
        Routes::new(patterns.iter().map(route).collect())
    }

    #[test]
    fn the_preset_patterns_live_together() {
        let routes =
            routes(&["/", "/api/reports", "/api/reports/{id}", "/{stem}.json", "/{stem}.html"]).unwrap();
        let found = |path| routes.find(path).map(|(_, route)| route.pattern.as_str());
        assert_eq!(found("/"), Some("/"));
        assert_eq!(found("/api/reports/yt:a.json"), Some("/api/reports/{id}"));
        assert_eq!(found("/a-b_c.json"), Some("/{stem}.json"));
        assert_eq!(found("/a.html"), Some("/{stem}.html"));
        assert_eq!(found("/a/b.json"), None);
        assert_eq!(found("/.json"), None);
        assert_eq!(found("/a.css"), None);
        assert_eq!(found("/api/reports/"), None);
    }

    #[test]
    fn a_route_without_parameters_is_a_list() {
        let routes =
            routes(&["/", "/api/reports", "/api/reports/{id}", "/{stem}.json", "/a/{{b}}", "/c/{*rest}"]);
        let routes = routes.unwrap();
        let lists = routes.iter().filter(|(_, route)| route.is_list());
        let lists: Vec<_> = lists.map(|(_, route)| route.pattern.as_str()).collect();
        assert_eq!(lists, ["/", "/api/reports", "/a/{{b}}"]);
    }

    #[test]
    fn a_clash_names_the_pattern() {
        assert!(routes(&["/a/{x}", "/a/{y}"]).unwrap_err().contains("/a/{y}"));
        assert!(routes(&["a"]).unwrap_err().contains("must start with /"));
    }
}
