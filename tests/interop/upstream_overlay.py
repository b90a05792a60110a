"""Prints an overlay for `go test` that lets the Go SDK's client suite talk to a scheduler that is there already.

    python upstream_overlay.py CHECKOUT FOLDER >FOLDER/overlay.json

The suite's TestMain starts the SDK's own scheduler in the process and connects to it. In a copy under FOLDER, which
`go test -overlay` reads in place of the file in the checkout, that function connects to TASKHUB_ADDRESS; every test
is as it was.
"""

import json
import pathlib
import re
import sys

SUITE = "tests/grpc/grpc_test.go"
TEST_MAIN = """func TestMain(m *testing.M) {
	conn, err := grpc.Dial(os.Getenv("TASKHUB_ADDRESS"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	grpcClient = client.NewTaskHubGrpcClient(conn, backend.DefaultLogger())
	os.Exit(m.Run())
}
"""


def main(checkout, folder):
    text = (checkout / SUITE).read_text(encoding="utf-8")
    text, found = re.subn(r"^func TestMain\(.*?^}\n", lambda _: TEST_MAIN, text, flags=re.MULTILINE | re.DOTALL)
    if found != 1:
        sys.exit(f"{SUITE} has no TestMain")
    # Go refuses a file that imports what it does not use.
    for package in re.findall(r'^\t"([^"]+)"\n', text, flags=re.MULTILINE):
        if not re.search(rf"\b{package.rpartition('/')[2]}\.", text):
            text = text.replace(f'\t"{package}"\n', "", 1)
    copy = folder / "grpc_test.go"
    copy.write_text(text, encoding="utf-8")
    print(json.dumps({"Replace": {str(checkout / SUITE): str(copy)}}))


if __name__ == "__main__":
    main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:]))
