//! Generates the stubs; protoc is Debian's protobuf-compiler.
fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-env-changed=PROTO");
    let proto = std::env::var("PROTO").unwrap_or_else(|_| "../../../proto".to_string());
    tonic_build::configure().build_server(false).compile(
        &[
            format!("{proto}/zandaka/v1/balance_service.proto"),
            format!("{proto}/google/rpc/error_details.proto"),
        ],
        &[proto],
    )
}
