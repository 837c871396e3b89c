// SPDX-License-Identifier: Apache-2.0
// ra-dump: runs a GGUF model over a text and keeps Q, K and V of every layer after RoPE.
#include <CLI/CLI.hpp>

#include "apps/cli.h"
#include "apps/dump/options.h"
#include "apps/dump/run.h"
#include "lib/core/signals.h"
#include "lib/store/vectors.h"

int main(int argc, char** argv) {
  ra::store::note_libraries();
  CLI::App app(
      "Runs a GGUF model over a text and writes the queries, keys and values of its attention, "
      "after\n"
      "RoPE, to an HDF5 file. Layout: lib/store/README.md.",
      "ra-dump");
  app.footer(
      "Example: ra-dump -m model.gguf -f book.txt -n 8192 --queries last:512 --generate 64 -o "
      "d.h5");
  ra::cli::CommonOptions common;
  ra::dump_app::DumpOptions options;
  ra::dump_app::bind(app, options);
  ra::cli::bind_common(app, common);
  ra::catch_signals();
  return ra::cli::run(app, common, argc, argv,
                      [&] { return ra::dump_app::run_dump(options, common); });
}
