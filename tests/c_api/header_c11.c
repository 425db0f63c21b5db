// gemlet.h alone, as C11: every structure can be written with designated initialisers, and begins
// with its size.
#include <gemlet.h>

_Static_assert(offsetof(gemlet_model_options, size) == 0, "size first");
_Static_assert(offsetof(gemlet_facts, size) == 0, "size first");
_Static_assert(offsetof(gemlet_sampling, size) == 0, "size first");
_Static_assert(offsetof(gemlet_chat_options, size) == 0, "size first");
_Static_assert(offsetof(gemlet_answer, size) == 0, "size first");

gemlet_status open_from_c11(const char* path, size_t path_bytes, gemlet_model** model);

gemlet_status open_from_c11(const char* path, size_t path_bytes, gemlet_model** model) {
    const gemlet_model_options options = {.size = sizeof(options), .n_threads = 1, .context = 64};
    return gemlet_model_open(path, path_bytes, &options, model);
}
