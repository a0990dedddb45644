//! What every page must hold, whatever it shows. Each check also comes as the list of what speaks against it.

use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use super::Page;

/// Rules of axe-core: WCAG 2.1 A and AA, and what is good practice besides.
const AXE: &str = r"
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];
const { violations } = await axe.run(document, { runOnly: rules });
return violations
    .filter(({ impact }) => ['serious', 'critical'].includes(impact))
    .flatMap(({ id, impact, help, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id} (${impact}): ${help}: ${target.join(' ')}: ${failureSummary}`));
";

const FITS: &str = include_str!("fits.js");

const FOREIGN: &str = r"
return performance.getEntriesByType('resource')
    .map(({ name }) => name)
    .filter((name) => new URL(name).origin !== location.origin);
";

impl Page {
    /// No violation that axe-core calls serious or critical.
    pub(crate) async fn axe(&self) {
        self.assert_none("axe-core found", self.axe_violations().await).await;
    }

    /// Nothing scrolls sideways, and all that is clicked can be hit: 24 by 24 CSS pixels, but links in a sentence.
    pub(crate) async fn assert_fits(&self) {
        self.assert_none("what does not fit", self.misfits().await).await;
    }

    /// The page works without a network: all it loaded came from its own server.
    pub(crate) async fn assert_no_foreign_requests(&self) {
        self.assert_none("loaded from elsewhere", self.foreign_requests().await).await;
    }

    pub(crate) async fn axe_violations(&self) -> Vec<String> {
        if self.js("return !window.axe").await == true {
            self.js(axe_core()).await;
        }
        strings(&self.js(&format!("return (async () => {{{AXE}}})()")).await)
    }

    pub(crate) async fn misfits(&self) -> Vec<String> {
        strings(&self.js(FITS).await)
    }

    pub(crate) async fn foreign_requests(&self) -> Vec<String> {
        strings(&self.js(FOREIGN).await)
    }

    async fn assert_none(&self, what: &str, found: Vec<String>) {
        assert!(found.is_empty(), "{what}: {found:#?}\n{}", self.whereabouts().await);
    }
}

/// axe-core as `scripts/test` installed it.
fn axe_core() -> &'static str {
    static AXE_CORE: LazyLock<Result<String, String>> = LazyLock::new(|| {
        let otherwise = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/npm");
        let npm = std::env::var_os("FLIPGATE_NPM").map_or_else(otherwise, PathBuf::from);
        let file = npm.join("node_modules/axe-core/axe.min.js");
        std::fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}; run scripts/test, which installs it", file.display()))
    });
    AXE_CORE.as_ref().unwrap_or_else(|error| panic!("{error}"))
}

fn strings(value: &Value) -> Vec<String> {
    let texts = value.as_array().into_iter().flatten();
    texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
}
