//! Compiles the .proto files with protox, so that no `protoc` binary is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=supwatch");
    let files = protox::compile(
        [
            "supwatch/v1/event.proto",
            "supwatch/v1/ingest.proto",
            "supwatch/v1/judgement.proto",
            "supwatch/v1/query.proto",
            "supwatch/v1/operate.proto",
        ],
        ["."],
    )?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
