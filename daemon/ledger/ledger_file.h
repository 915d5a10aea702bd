// SPDX-License-Identifier: Apache-2.0
// LedgerFile: the ledger's tables, and how an entry gets into them.
//
// What is told of a job whose decision is not there (the file was deleted, the daemon was down) is
// entered from its audit: the file fills again by itself.
#pragma once

#include <string>
#include <vector>

#include "daemon/ledger/database.h"
#include "daemon/ledger/entries.h"

namespace auspex {

// As `PRAGMA user_version` of a file.
inline constexpr int64_t kLedgerVersion = 2;

class LedgerFile {
 public:
  // One of an earlier version is brought up to date. Errors name the path: cannot be opened, no
  // database, of a later version.
  static Result<LedgerFile> open(const std::string& path);

  // All of them or none.
  Status write(const std::vector<LedgerEntry>& entries);
  Status forget_before(DecisionNumber number);
  // Whether this file no longer stands at its path.
  bool replaced() const;

 private:
  LedgerFile(std::string path, Database database)
      : path_(std::move(path)), database_(std::move(database)) {}
  Status prepare();
  Status bring_up_to_date();
  Status write(const DecisionEntry& entry);
  Status write(const JobEntry& entry);
  Status write(const LimitChange& entry);
  Result<DecisionNumber> row_of(const JobEntry& entry);
  Status enter_from_audit(const JobEntry& entry, DecisionNumber number);

  std::string path_;
  Database database_;
  uint64_t inode_ = 0;
  // In the order of LedgerFile::prepare().
  std::vector<Statement> statements_;
};

}  // namespace auspex
