// The safetensors parser on headers in memory, directories on disk, and the real files where they
// are at hand.
#include "core/files/safetensors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "core/files/safetensors_parse.h"
#include "tests/core/gguf_writer.h"
#include "tests/core/temp_tree.h"

namespace gemlet {
namespace {

// A file with this header and n_data_bytes behind it.
std::string file_of(std::string_view header, size_t n_data_bytes) {
    std::string bytes = ByteWriter().put_string(header).bytes();
    for (size_t i = 0; i < n_data_bytes; ++i) bytes += static_cast<char>(i);
    return bytes;
}

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape,
                  std::string_view offsets) {
    std::string text = "\"";
    text.append(name).append("\":{\"dtype\":\"").append(dtype).append("\",\"shape\":");
    return text.append(shape).append(",\"data_offsets\":").append(offsets).append("}");
}

Status status_of_file(const std::string& bytes) {
    // A copy of exactly this size, so that a sanitizer sees a read beyond the end.
    const auto copy = std::make_unique<uint8_t[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return parse_safetensors({copy.get(), bytes.size()}, "file", 0).error();
}

void expect_refused(std::string_view header, size_t n_data_bytes, std::string_view subject,
                    StatusCode code = StatusCode::corrupt) {
    const Status status = status_of_file(file_of(header, n_data_bytes));
    EXPECT_EQ(status.code(), code) << header << ": " << status.message();
    EXPECT_EQ(status.subject(), subject) << header << ": " << status.message();
}

const std::string kSmall = R"({"__metadata__":{"format":"pt"},)" +
                           entry("b", "F32", "[2,1]", "[4,12]") + "," +
                           entry("a", "BF16", "[2]", "[0,4]") + "}  ";

TEST(Safetensors, reads_names_types_shapes_and_bytes) {
    const std::string bytes = file_of(kSmall, 12);
    const auto tensors = parse_safetensors(as_bytes(bytes), "file", 3);
    ASSERT_TRUE(tensors) << tensors.error().message();
    ASSERT_EQ(tensors->size(), 2U);
    const TensorView& a = (*tensors)[0];
    const TensorView& b = (*tensors)[1];
    EXPECT_EQ(a.name, "a");
    EXPECT_EQ(a.type, WeightType::bf16);
    EXPECT_EQ(a.file_index, 3U);
    EXPECT_EQ(b.name, "b");
    EXPECT_EQ(b.n_dims, 2U);
    EXPECT_EQ(b.shape[0], 2U);
    EXPECT_EQ(b.shape[1], 1U);
    EXPECT_EQ(b.bytes.size(), 8U);
    EXPECT_EQ(b.bytes[0], 4);
    EXPECT_EQ(a.bytes.data() + 4, b.bytes.data());
}

TEST(Safetensors, takes_every_dtype_of_whole_bytes) {
    struct Row {
        const char* dtype;
        RawType raw;
        size_t n_bytes;
    };
    for (const Row& row :
         {Row{"F32", RawType::weight, 4}, Row{"F16", RawType::weight, 2},
          Row{"BF16", RawType::weight, 2}, Row{"I8", RawType::i8, 1}, Row{"U8", RawType::u8, 1},
          Row{"BOOL", RawType::boolean, 1}, Row{"I16", RawType::i16, 2},
          Row{"U16", RawType::u16, 2}, Row{"I32", RawType::i32, 4}, Row{"U32", RawType::u32, 4},
          Row{"I64", RawType::i64, 8}, Row{"U64", RawType::u64, 8}, Row{"F64", RawType::f64, 8}}) {
        // A scalar: its shape is empty.
        const std::string end = std::to_string(row.n_bytes);
        const std::string bytes =
            file_of("{" + entry("t", row.dtype, "[]", "[0," + end + "]") + "}", row.n_bytes);
        const auto tensors = parse_safetensors(as_bytes(bytes), "file", 0);
        ASSERT_TRUE(tensors) << row.dtype << tensors.error().message();
        EXPECT_EQ((*tensors)[0].raw, row.raw);
        EXPECT_EQ((*tensors)[0].n_dims, 0U);
        EXPECT_EQ((*tensors)[0].n_elements(), 1U);
    }
    for (const char* dtype : {"F8_E4M3", "F4", "f32", "", "F32 "}) {
        expect_refused("{" + entry("t", dtype, "[1]", "[0,1]") + "}", 1, "t",
                       StatusCode::unsupported);
    }
}

TEST(Safetensors, refuses_the_file_cut_at_every_byte) {
    const std::string whole = file_of(kSmall, 12);
    ASSERT_TRUE(status_of_file(whole).ok()) << status_of_file(whole).message();
    for (size_t size = 0; size < whole.size(); ++size) {
        EXPECT_EQ(status_of_file(whole.substr(0, size)).code(), StatusCode::corrupt) << size;
    }
    EXPECT_EQ(status_of_file(whole + "x").subject(), "file");  // and with a byte too many
}

TEST(Safetensors, survives_every_byte_changed) {
    const std::string whole = file_of(kSmall, 12);
    for (size_t at = 0; at < whole.size(); ++at) {
        for (int byte = 0; byte < 256; byte += at < 8 ? 1 : 5) {
            std::string changed = whole;
            changed[at] = static_cast<char>(byte);
            (void)status_of_file(changed);
        }
    }
}

TEST(Safetensors, bounds_the_header) {
    for (const uint64_t n : {uint64_t{0}, uint64_t{100}, uint64_t{100'000'001}, uint64_t{1} << 63U,
                             ~uint64_t{0}, ~uint64_t{0} - 7}) {
        const Status status = status_of_file(ByteWriter().put(n).put_bytes("{}").bytes());
        EXPECT_EQ(status.code(), StatusCode::corrupt) << n;
        EXPECT_EQ(status.subject(), "file");
    }
    EXPECT_TRUE(status_of_file(file_of("{}", 0)).ok());
    expect_refused("[]", 0, "file");
    expect_refused(" {}", 0, "file");
    expect_refused("{} x", 0, "file");
    expect_refused("{", 0, "file");
    expect_refused("{\"a\xFF\":1}", 0, "file");
    // Deep and wide nesting is cut off where it first leaves the expected form.
    expect_refused("{\"a\":" + std::string(1'000'000, '['), 0, "a");
    expect_refused("{\"a\":{\"shape\":" + std::string(1'000'000, '['), 0, "a");
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += "{\"a\":";
    expect_refused(deep, 0, "a");
    expect_refused("{\"__metadata__\":" + deep, 0, "__metadata__");
}

TEST(Safetensors, refuses_entries_of_another_form) {
    for (const char* value : {
             "1",
             "null",
             "[]",
             "\"F32\"",
             "{}",
             R"({"dtype":"F32"})",
             R"({"dtype":"F32","shape":[1]})",
             R"({"dtype":"F32","data_offsets":[0,4]})",
             R"({"shape":[1],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"extra":1})",
             R"({"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]})",
             R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})",
             R"({"dtype":["F32"],"shape":[1],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":"F32","data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[[1]],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[-0],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":[4]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":[]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})",
             R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":[0,3]})",
             R"({"dtype":"F32","shape":[1],"data_offsets":null})",
         }) {
        expect_refused("{\"t\":" + std::string(value) + "}", 4, "t");
    }
    EXPECT_TRUE(
        status_of_file(file_of(R"({"t":{"data_offsets":[0,4],"shape":[1],"dtype":"F32"}})", 4))
            .ok());
    expect_refused("{" + entry("", "F32", "[1]", "[0,4]") + "}", 4, "file");
    expect_refused("{" + entry("t", "F32", "[1,1,1,1,1]", "[0,4]") + "}", 4, "t",
                   StatusCode::unsupported);
    expect_refused("{" + entry("t", "F32", "[1,0]", "[0,0]") + "}", 0, "t",
                   StatusCode::unsupported);
}

TEST(Safetensors, refuses_shapes_that_overflow) {
    for (const char* shape :
         {"[4294967296,4294967296]", "[18446744073709551615]", "[9223372036854775808]",
          "[4611686018427387904,4]", "[4611686018427387904]", "[65536,65536,65536,65536]"}) {
        expect_refused("{" + entry("t", "F32", shape, "[0,0]") + "}", 0, "t");
        expect_refused("{" + entry("t", "F32", shape, "[0,18446744073709551612]") + "}", 4, "t");
    }
}

TEST(Safetensors, refuses_metadata_that_is_not_text) {
    for (const char* value :
         {"1", "[]", "\"a\"", R"({"a":1})", R"({"a":{}})", R"({"a":"1","a":"1"})"}) {
        expect_refused("{\"__metadata__\":" + std::string(value) + "}", 0, "__metadata__");
    }
    expect_refused(R"({"__metadata__":{},"__metadata__":{}})", 0, "__metadata__");
}

TEST(Safetensors, wants_tensors_to_tile_the_buffer) {
    const auto two = [](std::string_view a, std::string_view b) {
        return "{" + entry("a", "F32", "[1]", a) + "," + entry("b", "F32", "[1]", b) + "}";
    };
    EXPECT_TRUE(status_of_file(file_of(two("[0,4]", "[4,8]"), 8)).ok());
    EXPECT_TRUE(status_of_file(file_of(two("[4,8]", "[0,4]"), 8)).ok());
    expect_refused(two("[0,4]", "[0,4]"), 4, "b");    // the same bytes
    expect_refused(two("[0,4]", "[2,6]"), 6, "b");    // overlap
    expect_refused(two("[0,4]", "[5,9]"), 9, "b");    // a hole
    expect_refused(two("[4,8]", "[8,12]"), 12, "a");  // not from the start
    expect_refused(two("[0,4]", "[4,8]"), 9, "file");
    expect_refused(two("[0,4]", "[4,8]"), 7, "b");
    expect_refused(
        "{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("a", "F32", "[1]", "[4,8]") + "}", 8,
        "a");  // the same name
    expect_refused("{}", 1, "file");
}

// Writes a directory of two shards and an index with this weight_map.
void write_shards(const TempTree& tree, std::string_view weight_map) {
    tree.write("s1.safetensors", file_of("{" + entry("a", "F32", "[1]", "[0,4]") + "}", 4));
    tree.write("s2.safetensors", file_of("{" + entry("b", "F32", "[1]", "[0,4]") + "}", 4));
    tree.write("model.safetensors.index.json",
               R"({"metadata":{"total_size":8},"weight_map":)" + std::string(weight_map) + "}");
}

TEST(SafetensorsFiles, joins_the_shards_of_a_directory) {
    const TempTree tree;
    write_shards(tree, R"({"b":"s2.safetensors","a":"s1.safetensors"})");
    const auto model = SafetensorsFiles::open_directory(tree.path());
    ASSERT_TRUE(model) << model.error().message();
    ASSERT_EQ(model->tensors().size(), 2U);
    ASSERT_EQ(model->files().size(), 2U);
    for (const char* name : {"a", "b"}) {
        const TensorView* tensor = model->tensor(name);
        ASSERT_NE(tensor, nullptr);
        const auto file = model->files()[tensor->file_index].bytes();
        EXPECT_EQ(tensor->bytes.data() + 4, file.data() + file.size());
    }
    EXPECT_EQ(model->tensor("c"), nullptr);
}

TEST(SafetensorsFiles, refuses_a_wrong_index) {
    const TempTree tree;
    const auto status = [&](std::string_view weight_map) {
        write_shards(tree, weight_map);
        return SafetensorsFiles::open_directory(tree.path()).error();
    };
    EXPECT_EQ(status(R"({"a":"s2.safetensors","b":"s2.safetensors"})").subject(), "a");
    EXPECT_EQ(status(R"({"a":"s1.safetensors","b":"s1.safetensors"})").subject(), "b");
    EXPECT_EQ(status(R"({"a":"s1.safetensors","c":"s2.safetensors"})").subject(), "c");
    EXPECT_EQ(status(R"({"a":"s1.safetensors","a":"s2.safetensors"})").code(), StatusCode::corrupt);
    EXPECT_EQ(status(R"({"a":"s3.safetensors"})").code(), StatusCode::not_found);
    for (const char* name : {"../s1.safetensors", "/etc/hostname", "x/s1.safetensors", "..", ".",
                             "", "a\\\\b", "s1.safetensors\\u0000"}) {
        const Status refused = status(R"({"a":")" + std::string(name) + R"("})");
        EXPECT_EQ(refused.code(), StatusCode::corrupt) << name;
        EXPECT_EQ(refused.subject(), "a");
    }
    for (const char* map : {"{}", "[]", "null", R"({"a":1})", "{"}) {
        EXPECT_EQ(status(map).code(), StatusCode::corrupt) << map;
    }
    write_shards(tree, R"({"a":"s1.safetensors","b":"s2.safetensors"})");
    tree.write("s2.safetensors", "broken");
    EXPECT_TRUE(SafetensorsFiles::open_directory(tree.path())
                    .error()
                    .subject()
                    .ends_with("s2.safetensors"));
    // The same tensor in both files.
    tree.write("s2.safetensors", file_of("{" + entry("a", "F32", "[1]", "[0,4]") + "}", 4));
    EXPECT_EQ(SafetensorsFiles::open_directory(tree.path()).error().subject(), "a");
}

TEST(SafetensorsFiles, prefers_the_single_file_and_says_when_there_is_none) {
    const TempTree tree;
    const Status none = SafetensorsFiles::open_directory(tree.path()).error();
    EXPECT_EQ(none.code(), StatusCode::not_found);
    write_shards(tree, "broken");
    tree.write("model.safetensors", file_of(kSmall, 12));
    const auto model = SafetensorsFiles::open_directory(tree.path());
    ASSERT_TRUE(model) << model.error().message();
    EXPECT_EQ(model->tensors().size(), 2U);
}

TEST(SafetensorsFiles, opens_every_real_file) {
    const std::filesystem::path root = std::filesystem::path(GEMLET_SHARED_DATA) / "data";
    if (!std::filesystem::exists(root)) GTEST_SKIP() << "no reference data";
    size_t n_files = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
        if (file.path().extension() != ".safetensors") continue;
        const auto model = SafetensorsFiles::open_file(file.path().string());
        ASSERT_TRUE(model) << file.path() << model.error().message();
        EXPECT_FALSE(model->tensors().empty());
        ++n_files;
    }
    EXPECT_GT(n_files, 0U);
}

}  // namespace
}  // namespace gemlet
