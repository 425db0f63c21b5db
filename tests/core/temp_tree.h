// A folder of small files that disappears with the test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace gemlet {

/// Makes an empty folder of its own; removes it with everything in it when destroyed.
class TempTree {
  public:
    TempTree() {
        std::string name = (std::filesystem::temp_directory_path() / "gemlet-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "cannot make " << name;
        root_ = name;
    }
    ~TempTree() {
        std::error_code ignored;
        std::filesystem::remove_all(root_, ignored);
    }
    TempTree(const TempTree&) = delete;
    TempTree& operator=(const TempTree&) = delete;

    /// Writes a file, making the folders on its way.
    void write(const std::string& path, const std::string& text) const {
        const std::filesystem::path file = root_ / path;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
    }
    std::string path(const std::string& relative = {}) const { return (root_ / relative).string(); }

  private:
    std::filesystem::path root_;
};

}  // namespace gemlet
