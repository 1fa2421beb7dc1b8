//! The report in a real browser: Debian's headless Chromium. In light and dark, English and Japanese, wide and narrow, the page
//! is not blank, is readable, fits its window, logs nothing to the console and loads nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use supwatch_tests::site::SiteFolder;
use supwatch_tests::{supwatch, text};

const LIGHT: &str = "--blink-settings=preferredColorScheme=1";
const DARK: &str = "--blink-settings=preferredColorScheme=0";

/// A folder with pages, and a browser profile.
struct Browser {
    folder: tempfile::TempDir,
}

impl Browser {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Opens a page of the folder; returns the browser's output and its console messages.
    fn open(&self, page: &str, arguments: &[&str]) -> (Vec<u8>, String) {
        let output = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"])
            .arg(format!("--user-data-dir={}", self.path("profile").display()))
            .args(arguments)
            .arg(format!("file://{}", self.path(page).display()))
            .output()
            .expect("chromium is installed");
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        (output.stdout, said.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>().join("\n"))
    }

    /// A screenshot of a page: its width, its height, its brightness and its variation.
    fn picture(&self, page: &str, scheme: &str, width: u32) -> Picture {
        let (file, log) = (self.path("picture.png"), self.path("net.json"));
        let (shot, net, size) = (
            format!("--screenshot={}", file.display()),
            format!("--log-net-log={}", log.display()),
            format!("--window-size={width},2400"),
        );
        let (_, console) = self.open(page, &[scheme, &size, &shot, &net]);
        assert_eq!(console, "", "{page}");
        let asked = asked(&log);
        assert!(asked.iter().all(|address| address.starts_with("file:")), "{page} asks for {asked:?}");
        Picture::read(&file)
    }

    /// Number of sheets that a page prints on; columns that are too narrow on paper increase it.
    fn sheets(&self, page: &str) -> usize {
        let file = self.path("page.pdf");
        self.open(page, &[&format!("--print-to-pdf={}", file.display()), "--no-pdf-header-footer"]);
        text(&std::fs::read(file).expect("a PDF")).lines().filter(|line| line.ends_with("/Type /Page")).count()
    }

    /// Measurements that a test script takes of a page without scripts.
    fn measure(&self, page: &str, scheme: &str, width: u32) -> Value {
        let html = std::fs::read_to_string(self.path(page)).expect("a page");
        let html = html.replace('&', "&amp;").replace('"', "&quot;");
        let harness = HARNESS.replace("{page}", &html).replace("{width}", &width.to_string());
        std::fs::write(self.path("harness.html"), harness).expect("written");
        let (dom, console) = self.open("harness.html", &[scheme, "--window-size=1600,1200", "--dump-dom"]);
        assert_eq!(console, "", "{page}");
        let dom = text(&dom);
        let found = dom.split_once("<output>").and_then(|(_, rest)| rest.split_once("</output>")).expect("a measure").0;
        serde_json::from_str(&found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")).expect("JSON")
    }
}

/// The page is loaded in a frame, so that its own policy applies while a script outside inspects it. The contrast of each text is
/// measured against the nearest background that is not transparent; everything is unfolded first.
const HARNESS: &str = r#"<!DOCTYPE html><meta charset="utf-8"><title>harness</title>
<iframe width="{width}" height="900" style="border:0" srcdoc="{page}"></iframe><output></output>
<script>
addEventListener("load", () => {
  const inside = document.querySelector("iframe").contentDocument, view = inside.defaultView;
  inside.querySelectorAll("details").forEach(details => details.open = true);
  const numbers = color => color.match(/[\d.]+/g).map(Number);
  const channel = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const bright = ([red, green, blue]) => 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const color = numbers(view.getComputedStyle(element).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  let texts = 0, worst = 99, worstText = "", wide = [];
  const walker = inside.createTreeWalker(inside.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    texts += 1;
    const [one, other] = [bright(numbers(view.getComputedStyle(element).color)), bright(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < worst) [worst, worstText] = [ratio, walker.currentNode.data.slice(0, 60)];
    const range = inside.createRange();
    range.selectNodeContents(walker.currentNode);
    const hidden = element.closest("thead") && view.getComputedStyle(element.closest("thead")).position === "absolute";
    if (!hidden && range.getBoundingClientRect().right > view.innerWidth + 1) wide.push(walker.currentNode.data.slice(0, 60));
  }
  const thin = Math.min(...[...inside.querySelectorAll("tbody th, tbody td")].map(cell => cell.getBoundingClientRect().width));
  const root = inside.documentElement;
  document.querySelector("output").textContent = JSON.stringify({
    texts, worst, worstText, wide, thin, width: view.innerWidth, needs: root.scrollWidth,
    background: bright(numbers(view.getComputedStyle(inside.body).backgroundColor)),
    scripts: inside.scripts.length, language: root.lang, resources: view.performance.getEntriesByType("resource").length,
  });
});
</script>"#;

/// Requests of the page: the browser's network log has every address. The browser's own requests, such as update checks, have
/// another initiator.
fn asked(log: &Path) -> BTreeSet<String> {
    let record: Value = serde_json::from_str(&std::fs::read_to_string(log).expect("the record")).expect("JSON");
    let events = record["events"].as_array().expect("events");
    let by_page =
        |event: &&Value| event["params"]["initiator"].as_str().is_some_and(|from| from.starts_with("file:") || from == "null");
    events.iter().filter(by_page).filter_map(|event| event["params"]["url"].as_str().map(str::to_owned)).collect()
}

/// What a screenshot shows, as far as a test can tell.
struct Picture {
    size: (u32, u32),
    colors: usize,
    /// Mean of all channels, 0 to 255.
    light: u64,
}

impl Picture {
    fn read(file: &Path) -> Picture {
        let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(file).expect("a picture")));
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("a frame");
        let pixel = info.color_type.samples();
        let colors: BTreeSet<&[u8]> = bytes.chunks_exact(pixel).map(|all| &all[..3]).collect();
        let sum: u64 = bytes.chunks_exact(pixel).flat_map(|all| &all[..3]).map(|value| u64::from(*value)).sum();
        Picture { size: (info.width, info.height), colors: colors.len(), light: sum / (bytes.len() / pixel * 3) as u64 }
    }
}

/// A hierarchy with findings of each kind, a hostile line, and settings that differ.
fn reports(browser: &Browser) {
    let sites = browser.path("sites");
    let (mut cen, mut p01) =
        (SiteFolder::new(&sites, "CEN", "central", None), SiteFolder::new(&sites, "P01", "primary", Some("CEN")));
    std::fs::write(sites.join("hierarchy.toml"), "name = \"corp\"\ngeneration = \"current-branch\"\n").expect("file");
    let settings = |server: &str, parent: Value, languages: Value| {
        json!({
            "schema": "supwatch/settings/v1", "taken_at": "2026-03-01T00:00:00Z",
            "sups": [{"server": server, "first": true, "http_port": 8530, "https_port": 8531}],
            "component": {"sync_source": "upstream", "schedule_hours": 24, "summary_languages": ["en", "ja"]},
            "wsus": [{
                "server": server, "sync_from_microsoft_update": parent.is_null(), "is_replica": !parent.is_null(),
                "upstream": parent, "languages": languages, "classifications": ["Security Updates"],
                "products": (0..40).map(|number| format!("Windows Server, version {number}")).collect::<Vec<_>>(),
                "website": {"http_port": 8530, "https_port": 8531}
            }]
        })
        .to_string()
    };
    let above = json!({"server": "cen.corp.example", "port": 8530});
    std::fs::write(cen.folder.join("settings.json"), settings("cen.corp.example", Value::Null, json!(["en", "ja"]))).expect("file");
    std::fs::write(p01.folder.join("settings.json"), settings("p01.corp.example", above, json!(["en"]))).expect("file");
    cen.write(&["Performing sync on local request".to_owned(), "Sync succeeded. x".to_owned()]);
    p01.write(&[
        "Performing sync on parent request".to_owned(),
        format!(
            "Sync failed: </pre><img src=\"http://evil.example/x.png\"><script>console.error(1)</script>\u{202e}{}. Source: X",
            "A".repeat(700)
        ),
    ]);
    for lang in ["en", "ja"] {
        let page = browser.path(&format!("{lang}.html"));
        let output = supwatch(&["analyze", sites.to_str().unwrap(), "--report", page.to_str().unwrap(), "--lang", lang]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    }
}

#[test]
fn chromium_shows_the_report_in_both_schemes_and_languages_wide_and_narrow() {
    let fonts = Command::new("fc-list").arg(":lang=ja").output().expect("fontconfig is installed");
    assert!(!fonts.stdout.is_empty(), "a font with Japanese is installed");
    let browser = Browser { folder: tempfile::tempdir().expect("folder") };
    reports(&browser);
    for page in ["en.html", "ja.html"] {
        let (light, dark) = (browser.picture(page, LIGHT, 1400), browser.picture(page, DARK, 1400));
        let narrow = browser.picture(page, LIGHT, 360);
        assert_eq!((light.size, dark.size, narrow.size), ((1400, 2400), (1400, 2400), (360, 2400)));
        for picture in [&light, &dark, &narrow] {
            assert!(picture.colors > 50, "{page}: {} colours are a blank page", picture.colors);
        }
        assert!(light.light > 200 && narrow.light > 200 && dark.light < 80, "{page}: {} and {}", light.light, dark.light);
        let pages = browser.sheets(page);
        assert!((2..=7).contains(&pages), "{page}: {pages} sheets of paper");
        for (scheme, width) in [(LIGHT, 1400), (DARK, 1400), (LIGHT, 360), (DARK, 360), (LIGHT, 700), (LIGHT, 950)] {
            let found = browser.measure(page, scheme, width);
            let what = format!("{page}, {scheme}, {width}: {found}");
            assert!(found["texts"].as_u64() > Some(100), "{what}");
            assert!(found["worst"].as_f64() >= Some(4.5), "too little contrast: {what}");
            assert_eq!(found["wide"], json!([]), "text beyond the edge: {what}");
            assert!(found["thin"].as_f64() >= Some(48.0), "a column that nobody can read: {what}");
            assert!(found["needs"].as_u64() <= found["width"].as_u64(), "wider than its window: {what}");
            assert!((found["background"].as_f64() > Some(0.5)) == (scheme == LIGHT), "{what}");
            assert_eq!((&found["scripts"], &found["resources"], &found["width"]), (&json!(0), &json!(0), &json!(width)), "{what}");
            assert_eq!(found["language"], page[..2], "{what}");
        }
    }
}

#[test]
fn the_policy_of_the_report_stops_what_would_get_into_it() {
    // If escaping ever failed, this is the second line of defence: the browser itself refuses.
    let browser = Browser { folder: tempfile::tempdir().expect("folder") };
    reports(&browser);
    let page = std::fs::read_to_string(browser.path("en.html")).expect("a page");
    let more = "<script>document.title = 'run'</script><img src=\"http://127.0.0.1:9/x.png\"><style>body { display: none }</style>";
    std::fs::write(browser.path("torn.html"), page.replace("</main>", &format!("{more}</main>"))).expect("written");
    let (dom, console) = browser.open("torn.html", &["--dump-dom"]);
    assert_eq!(console.matches("violates the following Content Security Policy directive").count(), 3, "{console}");
    assert!(!text(&dom).contains("<title>run"), "the script did not run");

    // Without the policy all of it happens, so these tests would notice.
    let page = std::fs::read_to_string(browser.path("torn.html")).expect("a page");
    std::fs::write(browser.path("bare.html"), page.replace("http-equiv=", "name=")).expect("written");
    let log = browser.path("net.json");
    let (dom, _) = browser.open("bare.html", &["--dump-dom", &format!("--log-net-log={}", log.display())]);
    assert!(text(&dom).contains("<title>run"), "{}", text(&dom));
    let asked = asked(&log);
    assert!(asked.contains("http://127.0.0.1:9/x.png"), "{asked:?}");
}
