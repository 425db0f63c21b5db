// gemlet.h alone, as C++11.
#include <gemlet.h>

const char* version_from_cpp11();

const char* version_from_cpp11() {
    gemlet_chat_options options = {};
    options.size = sizeof(options);
    return gemlet_version();
}
