// SPDX-License-Identifier: Apache-2.0
// ra-recall: how out-of-distribution queries are, how sparse attention is, and what an index finds.
#include <fmt/core.h>

#include "apps/cli.h"
#include "apps/recall/options.h"
#include "lib/core/signals.h"
#include "lib/index/registry.h"
#include "lib/store/vectors.h"

int main(int argc, char** argv) {
  ra::store::note_libraries();
  ra::index::note_libraries();
  ra::recall::Options options;
  ra::recall::Chosen chosen;
  CLI::App app(
      "Out-of-distribution distances, attention sparsity and recall curves on a Q/K/V dump",
      "ra-recall");
  ra::cli::bind_common(app, options.common);
  app.require_subcommand(1);
  ra::recall::bind_ood(app, options, chosen);
  ra::recall::bind_sparsity(app, options, chosen);
  ra::recall::bind_overlap(app, options, chosen);
  ra::recall::bind_curve(app, options, chosen);
  ra::recall::bind_growth(app, options, chosen);
  ra::recall::bind_build(app, options, chosen);
  ra::recall::bind_export(app, options, chosen);
  ra::recall::bind_list(app, options, chosen);
  return ra::cli::run(app, options.common, argc, argv, [&] {
    ra::catch_signals();
    return chosen();
  });
}
