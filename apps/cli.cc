// SPDX-License-Identifier: Apache-2.0
#include "apps/cli.h"

#include <fmt/core.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <span>
#include <string_view>

#include "apps/completion.h"
#include "apps/man_page.h"
#include "kernels/level.h"
#include "lib/core/error.h"
#include "lib/core/json.h"
#include "lib/core/parallel.h"
#include "lib/core/params.h"
#include "lib/core/progress.h"
#include "lib/core/provenance.h"

namespace ra::cli {
namespace {

std::string program_name, stored_command_line;
bool colour = false;

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos)
    return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void check_environment() {
  if (const auto error = kernels::active_level_error()) fail_usage("RA_CPU_LEVEL", *error);
}

void apply(const CommonOptions& o) {
  if (o.cpu_level.empty()) check_environment();
  if (!o.cpu_level.empty()) {
    const auto level = kernels::parse_level(o.cpu_level);
    if (!level) fail_usage("--cpu-level", o.cpu_level, "one of scalar, avx2, avx512, amx");
    if (!kernels::cpu_has(*level))
      fail_usage("--cpu-level", o.cpu_level + " is not available on this CPU",
                 "best here: " + std::string(kernels::level_name(kernels::best_level())));
    kernels::set_active_level(*level);
  }
  set_threads(o.threads);
  const auto mode = o.quiet                  ? ProgressMode::kNever
                    : o.progress == "always" ? ProgressMode::kAlways
                    : o.progress == "never"  ? ProgressMode::kNever
                                             : ProgressMode::kAuto;
  set_progress_mode(mode);
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool off = (no_color != nullptr && *no_color != '\0') ||
                   (term != nullptr && std::string_view(term) == "dumb");
  colour = o.color == "always" || (o.color == "auto" && !off && isatty(STDOUT_FILENO) == 1);
}

int report(Exit code, std::string_view line) {
  std::fflush(stdout);
  fmt::print(stderr, "{}: error: {}\n", program_name, line);
  return static_cast<int>(code);
}

int parse_error(const CLI::ParseError& e) {
  const bool config = dynamic_cast<const CLI::ConfigError*>(&e) != nullptr ||
                      dynamic_cast<const CLI::FileError*>(&e) != nullptr;
  std::string text = e.what();
  for (char& c : text)
    if (c == '\n') c = ' ';
  return report(config ? Exit::kBadConfig : Exit::kUsage,
                fmt::format("{}: -: -: {} (see {} --help)", config ? "bad config" : "usage", text,
                            program_name));
}

// Hidden: what the build asks each program for, to install it.
void bind_self_description(CLI::App& app) {
  app.add_option_function<std::string>(
         "--print-completion",
         [&app](const std::string& shell) {
           fmt::print("{}", completion_script(read_commands(app), shell));
           throw CLI::Success();
         },
         "Print a completion script for bash, zsh or fish")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->configurable(false)
      ->group("");
  app.add_flag_callback(
         "--print-man",
         [&app] {
           fmt::print("{}", man_page(read_commands(app), tool_version()));
           throw CLI::Success();
         },
         "Print the manual page")
      ->configurable(false)
      ->group("");
}

}  // namespace

void bind_common(CLI::App& app, CommonOptions& o) {
  program_name = app.get_name();
  note_library("cli11", CLI11_VERSION);
  app.set_version_flag("--version",
                       fmt::format("{} {} ({})", app.get_name(), tool_version(), git_commit()));
  app.add_flag_callback(
      "--build-info",
      [] {
        check_environment();  // "isa" would not be what was asked for
        fmt::print("{}\n", build_info().dump());
        throw CLI::Success();
      },
      "Print version, commit, compiler, libraries and ISA levels as JSON");
  app.set_config("--config", "", "Read options from a TOML file, a table per subcommand");
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.add_flag_callback(
         "--print-config",
         [&app] {
           fmt::print("{}", app.config_to_str(true, false));
           throw CLI::Success();
         },
         "Print the effective options as a config file")
      ->configurable(false);
  bind_self_description(app);
  const std::string group = "Common options";
  app.add_option("-t,--threads", o.threads, "Threads; 0 = physical cores available")
      ->envname("RA_THREADS")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str()
      ->group(group);
  app.add_option("--seed", o.seed, "Seed of everything random")
      ->envname("RA_SEED")
      ->capture_default_str()
      ->group(group);
  app.add_option("--cpu-level", o.cpu_level,
                 "Force scalar, avx2, avx512 or amx (also RA_CPU_LEVEL)")
      ->group(group);
  app.add_option("--memory-limit", o.memory_limit,
                 "Most memory to use, e.g. 4GiB; default 90 % of what is free")
      ->envname("RA_MEMORY_LIMIT")
      ->group(group);
  app.add_option("--cache-dir", o.cache_dir,
                 "Cache folder; default ${XDG_CACHE_HOME:-~/.cache}/retrieval-attention")
      ->envname("RA_CACHE_DIR")
      ->group(group);
  app.add_flag("--no-cache", o.no_cache, "Neither read nor write the cache")->group(group);
  app.add_option("--progress", o.progress, "auto, always or never")
      ->envname("RA_PROGRESS")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--color", o.color, "auto, always or never")
      ->envname("RA_COLOR")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str()
      ->group(group);
  app.add_flag("-q,--quiet", o.quiet, "Errors only")->group(group);
  app.add_flag("-v,--verbose", o.verbose, "More on stderr; twice for even more")->group(group);
  app.fallthrough();
}

int run(CLI::App& app, CommonOptions& options, int argc, char** argv,
        const std::function<int()>& body) {
  for (int i = 0; i < argc; ++i) stored_command_line += (i == 0 ? "" : " ") + shell_quoted(argv[i]);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    app.parse(argc, argv);
    apply(options);
    return body();
  } catch (const CLI::Success& e) {
    return app.exit(e) == 0 ? 0 : 0;
  } catch (const CLI::ParseError& e) {
    return parse_error(e);
  } catch (const Error& e) {
    return report(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return report(Exit::kNoMemory,
                  "out of memory: -: -: an allocation failed (see --memory-limit)");
  } catch (const std::exception& e) {
    return report(Exit::kInternal,
                  fmt::format("internal error: -: -: {} (please report it)", escaped(e.what())));
  }
}

void warn(const CommonOptions& options, std::span<const std::string> lines) {
  if (options.quiet) return;
  for (const std::string& line : lines) fmt::print(stderr, "{}: warning: {}\n", program_name, line);
}

const std::string& command_line() { return stored_command_line; }

bool use_color() { return colour; }

}  // namespace ra::cli
