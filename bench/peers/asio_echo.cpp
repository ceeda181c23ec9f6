/*
 * The echo server on Boost.Asio, as its own example has it: an object for each connection, which
 * the handlers share.
 *
 *     asio_echo echo|line BUFFER_BYTES
 */
#include <boost/asio.hpp>

#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <vector>

using boost::asio::ip::tcp;

static bool by_line;
static std::size_t buffer_bytes;

class connection : public std::enable_shared_from_this<connection> {
  public:
    explicit connection(tcp::socket from) : socket(std::move(from)), buffer(buffer_bytes)
    {
    }

    void read()
    {
        auto self = shared_from_this();
        socket.async_read_some(boost::asio::buffer(buffer.data() + held, buffer.size() - held),
                               [self](boost::system::error_code error, std::size_t n) {
                                   if (!error)
                                       self->came(n);
                               });
    }

  private:
    /* Bytes go back as they are; of lines, those that are whole. */
    void came(std::size_t n)
    {
        std::size_t size = held + n, whole = size;
        if (by_line) {
            const void *last = memrchr(buffer.data(), '\n', size);
            whole = last ? static_cast<const char *>(last) + 1 - buffer.data() : 0;
        }
        held = size - whole;
        if (whole == 0) {
            read();
            return;
        }
        auto self = shared_from_this();
        boost::asio::async_write(socket, boost::asio::buffer(buffer.data(), whole),
                                 [self, whole](boost::system::error_code error, std::size_t) {
                                     if (error)
                                         return;
                                     memmove(self->buffer.data(), self->buffer.data() + whole,
                                             self->held);
                                     self->read();
                                 });
    }

    tcp::socket socket;
    std::vector<char> buffer;
    std::size_t held = 0; /* of a line that has begun */
};

static void accept(tcp::acceptor &acceptor)
{
    acceptor.async_accept([&acceptor](boost::system::error_code error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true));
            std::make_shared<connection>(std::move(socket))->read();
        }
        accept(acceptor);
    });
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    by_line = std::strcmp(argv[1], "line") == 0;
    buffer_bytes = std::strtoul(argv[2], nullptr, 10);
    boost::asio::io_context context(1);
    tcp::acceptor acceptor(context);
    acceptor.open(tcp::v4());
    acceptor.bind({boost::asio::ip::address_v4::loopback(), 0});
    acceptor.listen(4096);
    boost::asio::signal_set signals(context, SIGTERM);
    signals.async_wait([&context](boost::system::error_code, int) { context.stop(); });
    std::cout << acceptor.local_endpoint().port() << std::endl;
    accept(acceptor);
    context.run();
    return 0;
}
