"""Build the documentation site in dist/site, and check it: `make docs`.

Sphinx's warnings are errors. Then every link and anchor must have a target, and no page may load anything
from another host. `--external` lists the links to other hosts, which are not requested.
"""

import subprocess
import sys
from pathlib import Path

from site_links import list_external_links, list_faults

ROOT = Path(__file__).parent.parent
SITE = ROOT / "dist" / "site"


def main() -> int:
    """Build and check the site. Return the exit code, 1 if something is wrong."""
    strict = ["--fail-on-warning", "--nitpicky", "--keep-going", "--fresh-env", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *strict, "--doctree-dir", f"{SITE.parent / 'doctrees'}"]
    built = subprocess.run([*command, f"{ROOT / 'docs'}", f"{SITE}"], check=False)
    if built.returncode:
        return 1
    faults = list(list_faults(SITE))
    for fault in faults:
        print(f"{fault.page}: {fault.text}")
    if "--external" in sys.argv[1:]:
        print("\n".join(sorted(list_external_links(SITE))))
    if not faults:
        print(f"The site is built: {SITE.relative_to(ROOT) / 'index.html'}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
