// SPDX-License-Identifier: Apache-2.0
#include "shared/history/kept.h"

#include <unistd.h>

#include <utility>

#include "shared/history/snapshot.h"

namespace auspex {
namespace {

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<KeptHistory> try_open(const std::string& saved_path, const HistoryCapacity& capacity) {
  const std::string journal_path = journal_path_of(saved_path);
  const Result<uint64_t> base = journal_base_of(saved_path);
  if (!base) return base.error();
  KeptHistory kept{JobHistory(capacity), std::nullopt};
  if (*base != 0) {
    Result<JobHistory> saved = load_history(saved_path, capacity);
    if (!saved) return saved.error();
    kept.history = std::move(*saved);
  }
  if (*base != 0 && !exists(journal_path)) return kept;
  Result<JournalReader> journal = JournalReader::open(journal_path);
  if (!journal) return journal.error();
  // Asked again: another one may have been saved between its checksum and its reading.
  const Result<uint64_t> still = journal_base_of(saved_path);
  if (!still) return still.error();
  if (journal->base() != *base || *still != *base) {
    return Error{journal_path + ": goes on from another saved history"};
  }
  kept.journal.emplace(std::move(*journal));
  return kept;
}

}  // namespace

std::string journal_path_of(const std::string& saved_path) {
  return saved_path + ".journal";
}

Result<KeptHistory> open_kept_history(const std::string& saved_path,
                                      const HistoryCapacity& capacity) {
  constexpr int kTries = 20;
  for (int attempt = 1;; ++attempt) {
    Result<KeptHistory> kept = try_open(saved_path, capacity);
    const bool there = exists(saved_path) || exists(journal_path_of(saved_path));
    if (kept || !there || attempt == kTries) return kept;
    ::usleep(100'000);
  }
}

}  // namespace auspex
