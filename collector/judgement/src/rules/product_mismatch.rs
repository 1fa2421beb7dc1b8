//! A child's first SUP is set to the products its parent provides. Replicas are skipped.
//! Source: the article, "unexpected software updates are synchronized"; documentation: products are set at the top site only.

use super::filters::{Filter, compare};
use super::{Rule, Scene};
use supwatch_model::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "product-mismatch",
    severity: Severity::Warning,
    title: ("products match along the hierarchy", "製品が階層に沿って一致している"),
    why: (
        "Products are set at the top site and reach every site from there; a difference means that a WSUS server was edited by hand, and unexpected updates come in or expected ones do not.",
        "製品は最上位サイトで設定され、そこから各サイトに反映されます。差異がある場合は WSUS が直接編集されており、予期しない更新が同期されるか、必要な更新が同期されません。",
    ),
    looks_at: &["wsus[first].products"],
    fix: &[
        (
            "Set products only at the top site: Software Update Point Component Properties > Products.",
            "製品は最上位サイトの[ソフトウェアの更新ポイント コンポーネントのプロパティ]>[製品]でのみ設定してください。",
        ),
        (
            "Do not edit them in a WSUS console; WSUS Configuration Manager applies the component's within 60 minutes.",
            "WSUS コンソールでは編集しないでください。WSUS Configuration Manager が 60 分以内にコンポーネントの設定を反映します。",
        ),
    ],
    source: "the article, \"unexpected software updates are synchronized\"",
    watcher: false,
    judge: |scene: &Scene<'_>| {
        compare(
            scene,
            &Filter {
                rule: RULE.name,
                path: "wsus[first].products",
                name: ("products", "製品"),
                read: |wsus| wsus.products.value().map(Vec::as_slice),
            },
        )
    },
};

#[cfg(test)]
mod tests {
    use crate::rules::testing::{World, healthy};
    use serde_json::{Value, json};

    fn world(own: Value, replica: bool) -> World {
        let mut above = healthy("cen", None);
        above["wsus"][0]["products"] = json!(["Windows Server 2019"]);
        let mut settings = healthy("p01", Some("cen"));
        settings["wsus"][0]["products"] = own;
        settings["wsus"][0]["is_replica"] = json!(replica);
        World::new().central("CEN").primary("P01", "CEN").settings("CEN", above).settings("P01", settings)
    }

    #[test]
    fn titles_of_one_id_are_one_product() {
        let world = |id: &str| {
            let (mut above, mut own) = (healthy("cen", None), healthy("p01", Some("cen")));
            above["wsus"][0]["products"] = json!(["Windows Server 2019"]);
            above["category_ids"] = json!({"Windows Server 2019": "f702a48c-919b-45d6-9aef-ca4248d50397"});
            own["wsus"][0]["products"] = json!(["Windows Server 2019 (ja)"]);
            own["category_ids"] = json!({"Windows Server 2019 (ja)": id});
            World::new().central("CEN").primary("P01", "CEN").settings("CEN", above).settings("P01", own)
        };
        world("f702a48c-919b-45d6-9aef-ca4248d50397").check("product-mismatch", "P01 pass");
        world("a105a108-7c9b-4518-bbbe-73f0fe30012b").check("product-mismatch", "P01 fail");
    }

    #[test]
    fn titles_of_different_languages_without_ids_are_unknown() {
        let world = |above: Value, own: Value, classification: &str| {
            let (mut upper, mut lower) = (healthy("cen", None), healthy("p01", Some("cen")));
            upper["wsus"][0]["products"] = above;
            lower["wsus"][0]["products"] = own;
            lower["wsus"][0]["classifications"] = json!([classification]);
            World::new().central("CEN").primary("P01", "CEN").settings("CEN", upper).settings("P01", lower)
        };
        let (english, german) = (json!(["Developer Tools"]), json!(["Entwicklertools"]));
        world(english.clone(), german.clone(), "Sicherheitsupdates").check("product-mismatch", "P01 unknown");
        world(english.clone(), german.clone(), "Sicherheitsupdates").check("filter-drift", "CEN unknown, P01 unknown");
        world(english, german, "Security Updates").check("product-mismatch", "P01 fail");
        let (english, japanese) = (json!(["Microsoft Defender Antivirus"]), json!(["Microsoft Defender ウイルス対策"]));
        world(english, japanese, "セキュリティ問題の修正プログラム").check("product-mismatch", "P01 unknown");
        let (english, id) = (json!(["Developer Tools"]), json!(["5c1f6d2a-1b43-4f0e-9a57-6d1c2b9d8e10"]));
        world(english, id, "Security Updates").check("product-mismatch", "P01 unknown");
        // The same name on both sides means the same product.
        world(json!(["Windows 11"]), json!(["Windows 11"]), "Sicherheitsupdates").check("product-mismatch", "P01 pass");
    }

    #[test]
    fn order_and_case_do_not_matter_and_a_difference_fails() {
        world(json!(["Windows Server 2019".to_uppercase()]), false).check("product-mismatch", "P01 pass");
        world(json!(["Windows Server 2019", "Windows 11"]), false).check("product-mismatch", "P01 fail");
        world(json!([]), false).check("product-mismatch", "P01 fail");
        world(json!([]), true).check("product-mismatch", "");
        World::new()
            .central("CEN")
            .primary("P01", "CEN")
            .settings("P01", healthy("p01", Some("cen")))
            .check("product-mismatch", "P01 unknown");
    }
}
