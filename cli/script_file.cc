// SPDX-License-Identifier: Apache-2.0
#include "cli/script_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>

namespace auspex::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxScriptFileBytes = size_t{4} * 1024 * 1024;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

std::string find(const std::string& path) {
  if (path.front() == '.' || path.front() == '/') return path;
  std::error_code ignored;
  const fs::path here = fs::current_path(ignored) / path;
  if (is_file(here)) return here.string();
  const char* variable = std::getenv("PATH");
  std::string_view folders = variable == nullptr ? "" : variable;
  while (path.find('/') == std::string::npos && !folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(':'));
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
    const fs::path candidate = fs::path(folder) / path;
    if (is_file(candidate) && access(candidate.c_str(), X_OK) == 0) return candidate.string();
  }
  return path;
}

Result<std::string> read_all(std::FILE* file, const std::string& name) {
  std::string text(kMaxScriptFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  if (std::ferror(file) != 0) return Error{name + ": cannot be read: " + std::strerror(errno)};
  if (text.size() > kMaxScriptFileBytes) return Error{name + ": is larger than 4 MiB"};
  return text;
}

}  // namespace

Result<ScriptFile> read_script(const std::string& path) {
  if (path.empty()) {
    if (isatty(STDIN_FILENO) == 1) return Error{"no script: name one, or a command with --wrap"};
    Result<std::string> text = read_all(stdin, "standard input");
    if (!text) return text.error();
    return ScriptFile{"", "standard input", std::move(*text)};
  }
  const std::string found = find(path);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(found.c_str(), "rb"),
                                                             &std::fclose);
  if (!file) return Error{path + ": cannot be opened: " + std::strerror(errno)};
  Result<std::string> text = read_all(file.get(), path);
  if (!text) return text.error();
  return ScriptFile{found, path, std::move(*text)};
}

}  // namespace auspex::cli
