//! The echo server on tokio, on one thread: a task for each connection.
//!
//!     echo echo|line BUFFER_BYTES

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut stream: TcpStream, size: usize) -> std::io::Result<()> {
    let mut buffer = vec![0; size];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

/// Answers are flushed when all lines that have come are answered.
async fn lines(mut stream: TcpStream, size: usize) -> std::io::Result<()> {
    let (read, write) = stream.split();
    let mut reader = BufReader::with_capacity(size, read);
    let mut writer = BufWriter::with_capacity(size, write);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        writer.write_all(&line).await?;
        if reader.buffer().is_empty() {
            writer.flush().await?;
        }
        line.clear();
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let by_line = arguments[1] == "line";
    let size: usize = arguments[2].parse().expect("a number of bytes");
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse().expect("an address"))?;
    let listener: TcpListener = socket.listen(4096)?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            if by_line {
                lines(stream, size).await
            } else {
                echo(stream, size).await
            }
        });
    }
}
