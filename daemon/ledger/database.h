// SPDX-License-Identifier: Apache-2.0
// Database and Statement: SQLite without its pointers. Source: sqlite.org/c3ref.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace auspex {

class Database {
 public:
  // Created where there is none. Errors name the path and the reason.
  static Result<Database> open(const std::string& path);
  static Result<Database> open_to_read(const std::string& path);

  Status run(const std::string& sql);
  int64_t changed_rows() const;
  // What whoever made the file has written into its head; 0: nothing.
  Result<int64_t> version() const;
  std::string problem() const;
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  static Result<Database> open_with(const std::string& path, int flags);
  std::unique_ptr<sqlite3, Close> handle_;
};

// Used again and again: values are bound in the order of the question marks, then it is run or
// stepped through.
class Statement {
 public:
  static Result<Statement> prepare(const Database& database, const std::string& sql);

  template <class... Values>
  Statement& with(const Values&... values) {
    reset();
    (bind(values), ...);
    return *this;
  }
  // Errors: SQLite's words.
  Status run();
  // Whether there is a row.
  Result<bool> step();
  // Of the row, from 0.
  std::optional<int64_t> integer(int column) const;
  std::optional<double> real(int column) const;
  std::string text(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  void reset();
  void bind(int64_t value);
  void bind(uint32_t value) { bind(static_cast<int64_t>(value)); }
  void bind(int32_t value) { bind(static_cast<int64_t>(value)); }
  void bind(double value);
  void bind(const std::string& value);
  template <class Value>
  void bind(const std::optional<Value>& value) {
    value ? bind(*value) : bind_null();
  }
  void bind_null();

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int next_ = 1;
};

}  // namespace auspex
